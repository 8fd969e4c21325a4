"""A PBXware's calls priced by the ASTPP deck of 36,206 prefixes, in US dollars."""

from typing import Any

from django.db.models import Count, Sum

from billing.models import Call
from billing.real.workbench import Workbench, inside, rows_of
from resellerkpi.core.models import Reseller

ZONE = "America/New_York"
DECK = {
    "columns": {
        "prefix": "pattern",
        "destination": "comment",
        "price": "cost",
        "connection_fee": "connectcost",
        "free_seconds": "includedseconds",
        "increments": "inc",
    },
    "tariff": {"places": 6, "rounding": "half_up", "time_zone": ZONE, "holidays": "", "is_default": True},
}
CUSTOMER = "PBX"


def run(bench: Workbench) -> dict[str, Any]:
    """Load the deck and the extensions, then the calls; return both controls and the priced calls by outcome."""
    reseller = bench.reseller("pbxware-astpp", country="US", time_zone=ZONE, currency="USD", vat_rate=0)
    source = bench.source("cdr", "pbxware_cdr_26col.csv")
    _book(bench, reseller, sorted(_extensions(rows_of(source))))
    deck = bench.command(
        reseller,
        "import_tariff",
        bench.source("rates", "astpp_wholesale_az_2015_usd.csv"),
        tariff="ASTPP A-Z",
        mapping=bench.mapping("astpp-deck", DECK),
    )
    calls = bench.command(reseller, "import_cdrs", source, carrier="PBXWARE", format="pbxware")
    return {"deck": deck, "file": calls, "priced": _priced(reseller)}


def _extensions(rows: list[dict[str, str]]) -> set[str]:
    """Return the accounts that calls may be billed to: the account code, else the caller."""
    found = {row["accountcode"] if row["accountcode"] not in ("", "NULL") else row["src"] for row in rows}
    return {extension for extension in found if extension not in ("", "NULL", None)}


def _book(bench: Workbench, reseller: Reseller, extensions: list[str]) -> None:
    carriers = bench.table("pbxware-carriers.csv", ("code", "name", "country", "time_zone", "currency"),
                           [("PBXWARE", "PBXware", "US", ZONE, "USD")])  # fmt: skip
    bench.command(reseller, "import_book", "carriers", carriers)
    customers = bench.table(
        "pbxware-customers.csv", ("code", "name", "active_from"), [(CUSTOMER, "The office", "2015-01-01")]
    )
    bench.command(reseller, "import_book", "customers", customers)
    heads = ("number", "type", "customer", "start_date")
    numbers = bench.table(
        "pbxware-numbers.csv", heads, [(number, "other", CUSTOMER, "2015-01-01") for number in extensions]
    )
    bench.command(reseller, "import_book", "numbers", numbers)


def _priced(reseller: Reseller) -> dict[str, Any]:
    """Return the answered calls that went out on a trunk: by outcome, with seconds and money."""
    with inside(reseller):
        rows = (
            Call.objects.filter(answered=True)
            .exclude(state=Call.State.EXCLUDED)
            .values("state", "reason")
            .annotate(calls=Count("id"), seconds=Sum("duration"), retail=Sum("retail"))
            .order_by("state", "reason")
        )
        return {
            f"{row['state']} {row['reason']}".strip(): {
                "calls": row["calls"],
                "seconds": row["seconds"],
                "retail": str(row["retail"]),
            }
            for row in rows
        }
