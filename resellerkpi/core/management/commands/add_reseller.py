"""Open a reseller, with its first person."""

import json
from argparse import ArgumentParser
from typing import Any

from babel.numbers import list_currencies
from django.core.management.base import BaseCommand
from django.db import transaction

from resellerkpi.core.access import Role
from resellerkpi.core.models import Membership, Reseller, User
from resellerkpi.core.periods import zone_names


class Command(BaseCommand):
    """Add a reseller and, with --email and --password, its first owner."""

    help = "Opens a reseller; with --email and --password also its first owner."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("code", help="short code, letters, digits and hyphens")
        parser.add_argument("--name", required=True)
        parser.add_argument("--currency", default="GBP")
        parser.add_argument("--country", default="GB")
        parser.add_argument("--time-zone", default="Europe/London")
        parser.add_argument("--email", default="", help="the owner's address")
        parser.add_argument("--password", default="", help="the owner's password")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the reseller and print it as JSON; exits with 1 and one sentence when something is wrong."""
        problem = _problem(options)
        if problem:
            self.stderr.write(problem)
            self.stdout.write(json.dumps({"error": problem}, ensure_ascii=False))
            raise SystemExit(1)
        with transaction.atomic():
            reseller = Reseller.objects.create(
                **{name: options[name] for name in ("code", "name", "currency", "country", "time_zone")}
            )
            if options["email"]:
                owner = User.objects.create_user(
                    options["email"], options["password"], current_reseller=reseller
                )
                Membership.objects.create(user=owner, reseller=reseller, role=Role.OWNER)
        self.stdout.write(json.dumps({"reseller": reseller.code, "owner": options["email"] or None}))


def _problem(options: dict[str, Any]) -> str:
    """Return what is wrong with the arguments, in one sentence, or nothing."""
    if Reseller.objects.filter(code=options["code"]).exists():
        return f"There is already a reseller “{options['code']}”."
    if not options["code"].replace("-", "").isalnum():
        return "The code may hold letters, digits and hyphens only."
    if options["currency"] not in list_currencies():
        return f"“{options['currency']}” is not a currency such as GBP."
    if options["time_zone"] not in zone_names():
        return f"“{options['time_zone']}” is not a time zone such as Europe/London."
    if bool(options["email"]) != bool(options["password"]):
        return "An owner needs both --email and --password."
    if options["email"] and User.objects.filter(email__iexact=options["email"]).exists():
        return f"{options['email']} can sign in already."
    return ""
