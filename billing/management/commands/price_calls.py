"""Price calls given as JSON lines on stdin, without a database."""

from typing import Any

from django.core.management.base import BaseCommand

from billing.management.jsonlines import answer_stdin
from billing.rating.price_lines import price_lines


class Command(BaseCommand):
    """Answer each line of stdin with one line."""

    help = (
        "Prices calls: JSON lines in (rate_per_minute, access_charge added to it, connection_fee, "
        "minimum_charge, maximum_charge, initial_increment, next_increment, free_seconds, places, rounding, "
        "charge_unanswered, duration, answered), JSON lines out (billed_seconds, amount)."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Answer the lines of stdin."""
        answer_stdin(price_lines, self.stdout)
