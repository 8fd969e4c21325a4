"""Four FreePBX exports of one system: one is another again to the byte, one shares 96 of its rows."""

from decimal import Decimal
from typing import Any

from django.db.models import Count, Q, Sum

from billing.models import Call
from billing.real.workbench import RealDataProblem, Workbench, inside
from resellerkpi.core.models import Reseller

FILES = {
    "a": "freepbx_export_16col_a.csv",
    "b": "freepbx_export_16col_b.csv",
    "b_resent": "freepbx_export_16col_b_resent.csv",
    "c": "freepbx_export_16col_c_overlaps_a.csv",
}
ORDERS = (
    ("a", "b", "b_resent", "c"),
    ("c", "b_resent", "b", "a"),
    ("b", "c", "a", "b_resent"),
    ("b_resent", "a", "c", "b"),
)


def run(bench: Workbench) -> dict[str, Any]:
    """Load the files in several orders, each in a fresh reseller; every order must come to the same calls."""
    orders = [_order(bench, index, order) for index, order in enumerate(ORDERS)]
    return {"orders": orders, "same": all(order["calls"] == orders[0]["calls"] for order in orders)}


def _order(bench: Workbench, index: int, order: tuple[str, ...]) -> dict[str, Any]:
    reseller = bench.reseller(f"freepbx-{index + 1}", country="PT", time_zone="Europe/Lisbon", currency="EUR")
    carriers = bench.table("freepbx-carriers.csv", ("code", "name", "country", "time_zone", "currency"),
                           [("PBX", "FreePBX", "PT", "Europe/Lisbon", "EUR")])  # fmt: skip
    bench.command(reseller, "import_book", "carriers", carriers)
    files: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for name in order:
        path = bench.source("cdr", FILES[name])
        try:
            files[name] = bench.command(reseller, "import_cdrs", path, carrier="PBX", format="asterisk")
        except RealDataProblem as problem:
            refused[name] = str(problem)
    return {"order": list(order), "files": files, "refused": refused, "calls": _calls(reseller)}


def _calls(reseller: Reseller) -> dict[str, Any]:
    with inside(reseller):
        sums = Call.objects.aggregate(
            calls=Count("id"),
            answered=Count("id", filter=Q(answered=True)),
            seconds=Sum("duration"),
        )
    return {
        key: int(value or 0) if not isinstance(value, Decimal) else str(value) for key, value in sums.items()
    }
