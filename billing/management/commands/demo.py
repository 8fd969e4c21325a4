"""Build the demo: a believable reseller with 25 months behind it, and a second one beside it."""

import json
import time
from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from billing.demo.build import DemoRefused, Order, build, existing, finish
from billing.demo.refresh import find_leaks, refresh_kpis, report_runs, review_months
from billing.demo.shape import SIZES
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import local_day


class Command(BaseCommand):
    """Make the demo where there is none yet and print what it holds as JSON."""

    help = "Builds the demo in an empty database; where it is built already, only reports it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take seed, size and the day to build for."""
        parser.add_argument("--seed", type=int, default=7)
        parser.add_argument("--size", choices=sorted(SIZES), default="full")
        parser.add_argument(
            "--today", type=date.fromisoformat, metavar="DATE", help="build as if it were this day"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Build or report: progress on stderr, one JSON object on stdout."""
        now = timezone.now()
        begun = time.monotonic()
        try:
            facts = existing()
        except DemoRefused as refused:
            raise CommandError(str(refused)) from refused
        if facts is None:
            local = local_day(now, Reseller().zone)
            today = options["today"] or local
            asked = options["seed"], options["size"], today, settings.DEMO_DIR
            order = Order(*asked, now=now if today == local else None)
            facts = build(order, lambda line: self._say(begun, line))
            codes = [each["code"] for each in facts["resellers"]]
            self._say(begun, "Looking for leaks")
            find_leaks(codes, at=order.calendar(1).noon(today))
            self._say(begun, "Working out the KPIs")
            refresh_kpis(codes)
            report_runs(codes)
            self._say(begun, "Reviewing the past months")
            review_months(codes[:1])
            finish(facts, now)
            self._say(begun, "The demo is ready")
        self.stdout.write(json.dumps(facts))

    def _say(self, begun: float, line: str) -> None:
        self.stderr.write(f"[{time.monotonic() - begun:5.1f} s] {line}")
