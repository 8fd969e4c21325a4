"""Cut recurring charges given as JSON lines on stdin into pro-rated periods, without a database."""

from typing import Any

from django.core.management.base import BaseCommand

from billing.charging.prorate_lines import prorate_lines
from billing.management.jsonlines import answer_stdin


class Command(BaseCommand):
    """Answer each line of stdin with one line."""

    help = (
        "Pro-rates charges: JSON lines in (amount, interval, anchor_day, mode, method, service_start, "
        "service_end, target_date), JSON lines out (charges: start, end, fraction, amount)."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Answer the lines of stdin."""
        answer_stdin(prorate_lines, self.stdout)
