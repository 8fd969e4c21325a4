"""Bill a month: charges, invoices, and as far as asked their numbers and sending."""

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from billing.billrun.runs import RunRefused
from billing.bills import UNTIL, bill, summary
from billing.invoicing.issue import IssueRefused
from resellerkpi.core.access import Role
from resellerkpi.core.command import JsonCommand
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import BadPeriod, parse_month
from resellerkpi.core.scope import Scope, enter

ACCEPTED = "accepted by command"


class Command(JsonCommand):
    """Take the bill run of a month to a state; one that stands there already is only reported."""

    help = "Bill a month of a reseller and print the run's totals as one line of JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the reseller, the month and how far to go."""
        parser.add_argument("--reseller", required=True, metavar="CODE")
        parser.add_argument("--period", required=True, metavar="YYYY-MM")
        parser.add_argument("--until", choices=[str(state.value) for state in UNTIL], default=UNTIL[0].value)

    def handle(self, *args: Any, **options: Any) -> None:
        """Bill and report: progress on stderr, one JSON object on stdout."""
        reseller = Reseller.objects.filter(code=options["reseller"]).first()
        if reseller is None:
            raise CommandError(f"There is no reseller “{options['reseller']}”.")
        scope = Scope.of(reseller.pk, role=Role.OWNER, why="command bill")
        try:
            period = parse_month(options["period"], reseller.zone)
            self.stderr.write(f"Billing {period} of {reseller.name}")
            run = bill(
                reseller, period, until=options["until"], now=timezone.now(), scope=scope, accept=ACCEPTED
            )
        except (BadPeriod, RunRefused, IssueRefused) as refused:
            raise CommandError(str(refused)) from refused
        with enter(scope):
            totals = summary(run)
        self.stderr.write(f"The run is {run.get_state_display().lower()}: {totals['invoices']} invoices")
        self.stdout.write(json.dumps(totals))
