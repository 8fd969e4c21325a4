"""A UK wholesaler's daily file of 7 April 2022, with late calls of the end of March in it, in pounds.

Its numbers are not in the book at first: the calls in error offer them, customers get them, the same calls are priced
again and billed in the months in which they were made.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db.models import Count, DateField, Sum
from django.db.models.functions import TruncMonth
from django.utils import timezone

from billing.models import Call
from billing.pipeline import rerate_after_repair
from billing.real.workbench import Workbench, inside
from resellerkpi.core.models import Reseller

CARRIER = "WHOLESALER"
FILE = "FZG_Daily_Calls_ACCT_07042022_34422405_SIP_V3.csv"
PLAN = "Retail plan"
#: Prices of our own by the wholesaler's charge codes; what they do not name is sold at cost plus the markup.
PRICES = (
    ("UKN", "UK national", "0.0120"),
    ("UKNFM1", "UK mobile", "0.0450"),
    ("UKNFM2", "UK mobile", "0.0450"),
    ("UKNFM3", "UK mobile", "0.0450"),
    ("UKNFM5", "UK mobile", "0.0450"),
    ("UKNFM6", "UK mobile", "0.0450"),
    ("UKNFM16", "UK mobile", "0.0550"),
    ("UKNNNG", "UK non-geographic", "0.0600"),
    ("UKNFPH", "Freephone", "0"),
)
RETAIL = {"tariff": {"markup_percent": 40, "is_default": True}}
MONTHS = ("2022-03", "2022-04")


def run(bench: Workbench) -> dict[str, Any]:
    """Load the file, give its numbers to customers, price the same calls again, bill March and April."""
    reseller = bench.reseller("uk-wholesale", vat_rate=20)
    carriers = bench.table("uk-carriers.csv", ("code", "name"), [(CARRIER, "Wholesaler")])
    bench.command(reseller, "import_book", "carriers", carriers)
    loaded = bench.command(
        reseller, "import_cdrs", bench.source("cdr", FILE), carrier=CARRIER, format="uk_standard"
    )
    offered = _offered(reseller)
    _adopt(bench, reseller, [str(row["number"]) for row in offered])
    repaired = _price_again(reseller)
    bills = {month: bench.command(reseller, "bill", period=month, until="confirmed") for month in MONTHS}
    return {
        "file": loaded,
        "offered_numbers": offered,
        "repaired": repaired,
        "months": _sums(
            reseller, month=TruncMonth("started_at", tzinfo=reseller.zone, output_field=DateField())
        ),
        "charge_codes": _sums(reseller, code="charge_code"),
        "bills": bills,
    }


def _price_again(reseller: Reseller) -> dict[str, int]:
    """Rate the calls in error again, as the repair page does; return how many were looked at and changed."""
    with inside(reseller):
        result = rerate_after_repair(reseller=reseller, now=timezone.now())
    return {"looked_at": result.looked_at, "changed": result.changed} if result else {}


def _offered(reseller: Reseller) -> list[dict[str, Any]]:
    """Return the numbers that calls were billed to and nobody has, with their calls and cost."""
    with inside(reseller):
        rows = (
            Call.objects.filter(state=Call.State.ERROR, reason=Call.Reason.UNKNOWN_CLI)
            .values("billed_party")
            .annotate(calls=Count("id"), cost=Sum("cost"))
            .order_by("billed_party")
        )
        return [
            {"number": row["billed_party"], "calls": row["calls"], "cost": str(row["cost"])} for row in rows
        ]


def _adopt(bench: Workbench, reseller: Reseller, numbers: list[str]) -> None:
    """Bring a customer for each number, the number itself and the retail plan into the book."""
    codes = {number: f"C{index:03d}" for index, number in enumerate(numbers, start=1)}
    customers = bench.table(
        "uk-customers.csv",
        ("code", "name", "active_from"),
        [(code, f"Customer of {number}", "2022-01-01") for number, code in codes.items()],
    )
    bench.command(reseller, "import_book", "customers", customers)
    heads = ("number", "type", "customer", "start_date", "carrier")
    rows = [(number, "sip", code, "2022-01-01", CARRIER) for number, code in codes.items()]
    bench.command(reseller, "import_book", "numbers", bench.table("uk-numbers.csv", heads, rows))
    bench.command(
        reseller, "import_tariff", _prices(bench), tariff=PLAN, mapping=bench.mapping("uk-plan", RETAIL)
    )


def _prices(bench: Workbench) -> Path:
    rows = [(code, name, price, "1/1") for code, name, price in PRICES]
    return bench.table("uk-plan.csv", ("charge_code", "destination", "price", "increments"), rows)


def _sums(reseller: Reseller, **by: Any) -> dict[str, dict[str, Any]]:
    """Return calls, seconds, retail, cost and margin of all calls by one thing."""
    ((name, what),) = by.items()
    with inside(reseller):
        calls = (
            Call.objects.values(what) if isinstance(what, str) else Call.objects.annotate(**by).values(name)
        )
        key = what if isinstance(what, str) else name
        rows = calls.annotate(
            n=Count("id"), seconds=Sum("duration"), sold=Sum("retail"), bought=Sum("cost")
        ).order_by(key)
        return {
            f"{row[key]:%Y-%m}" if not isinstance(row[key], str) else row[key]: {
                "calls": row["n"],
                "seconds": row["seconds"],
                "retail": str(row["sold"]),
                "cost": str(row["bought"]),
                "margin": str(Decimal(row["sold"]) - Decimal(row["bought"])),
            }
            for row in rows
        }
