"""Who may open which address: one table of the whole house, and no row of another house anywhere."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from resellerkpi.core.access import Capability as C
from resellerkpi.core.access import Role, capabilities
from resellerkpi.core.models import User
from tests.rules.worked_world import Worked, worked_world
from tests.world import CANARY, World

pytestmark = pytest.mark.usefixtures("committed_db")

Arguments = Callable[[Worked], list[Any]]
NONE: Arguments = lambda w: []  # noqa: E731  reads as a table
PUBLIC = None


def pk(name: str) -> Arguments:
    """Return the key of one of the worked house's objects."""
    return lambda w: [getattr(getattr(w, name), "pk", getattr(w, name))]


#: url name: (capability, its arguments, status for those who may: 200, or 405 where only a form posts to it).
PAGES: dict[str, tuple[C | None, Arguments, int]] = {
    "overview": (C.VIEW_KPIS, NONE, 200),
    "kpi-list": (C.VIEW_KPIS, NONE, 200),
    "kpi": (C.VIEW_KPIS, lambda w: ["mrr"], 200),
    "kpi-json": (C.VIEW_KPIS, lambda w: ["mrr"], 200),
    "kpi-csv": (C.VIEW_KPIS, lambda w: ["mrr"], 200),
    "kpi-dictionary": (C.VIEW_KPIS, NONE, 200),
    "kpi-dictionary-json": (C.VIEW_KPIS, NONE, 200),
    "kpi-closing": (C.VIEW_KPIS, NONE, 200),
    "kpi-month": (C.VIEW_KPIS, lambda w: ["2026-08"], 200),
    "kpi-month-close": (C.BILL, lambda w: ["2026-08"], 200),
    "kpi-connect": (C.VIEW_KPIS, NONE, 200),
    "campaign-list": (C.VIEW_MARGIN, NONE, 200),
    "campaign": (C.VIEW_MARGIN, lambda w: [w.campaign], 200),
    "campaign-edit": (C.EDIT_BOOK, lambda w: [w.campaign], 200),
    "funnel": (C.VIEW_KPIS, NONE, 200),
    "why-leave": (C.VIEW_KPIS, NONE, 200),
    "customer-stay": (C.EDIT_BOOK, pk("customer"), 200),
    "observation-metrics": (C.IMPORT, NONE, 200),
    "observation-list": (C.IMPORT, NONE, 200),
    "observation-enter": (C.IMPORT, lambda w: ["visits"], 200),
    "observation-template": (C.IMPORT, lambda w: ["visits"], 200),
    "kpi-settings": (C.MANAGE, NONE, 200),
    "key-revoke": (C.MANAGE, pk("key"), 405),
    "allowance-list": (C.VIEW_BOOK, NONE, 200),
    "allowance-add": (C.EDIT_BOOK, pk("package"), 200),
    "allowance-change": (C.EDIT_BOOK, pk("allowance"), 200),
    "allowance-end": (C.EDIT_BOOK, pk("allowance"), 200),
    "allowance-remove": (C.EDIT_BOOK, pk("allowance"), 200),
    "billing-errors": (C.EDIT_BOOK, NONE, 200),
    "leakage": (C.VIEW_MARGIN, NONE, 200),
    "leakage-checks": (C.VIEW_MARGIN, NONE, 200),
    "leakage-limits": (C.MANAGE, lambda w: ["uncollected"], 200),
    "finding": (C.VIEW_MARGIN, pk("finding"), 200),
    "finding-accept": (C.BILL, pk("finding"), 200),
    "finding-look": (C.BILL, pk("finding"), 200),
    "finding-note": (C.BILL, pk("finding"), 200),
    "finding-owner": (C.BILL, pk("finding"), 200),
    "finding-recover": (C.BILL, pk("finding"), 200),
    "fraud-watch": (C.VIEW_USAGE, NONE, 200),
    "fraud-alert": (C.VIEW_USAGE, pk("warning"), 200),
    "fraud-resolve": (C.EDIT_BOOK, pk("warning"), 200),
    "fraud-accept": (C.EDIT_BOOK, pk("warning"), 200),
    "fraud-watchers": (C.EDIT_BOOK, NONE, 200),
    "spend-limit-list": (C.VIEW_MONEY, NONE, 200),
    "spend-limit-add": (C.EDIT_BOOK, NONE, 200),
    "spend-limit-edit": (C.EDIT_BOOK, pk("limit"), 200),
    "call-list": (C.VIEW_USAGE, NONE, 200),
    "call": (C.VIEW_USAGE, pk("call"), 200),
    "carrier-list": (C.EDIT_BOOK, NONE, 200),
    "carrier-add": (C.EDIT_BOOK, NONE, 200),
    "carrier": (C.EDIT_BOOK, pk("carrier"), 200),
    "carrier-edit": (C.EDIT_BOOK, pk("carrier"), 200),
    "carrier-bill-list": (C.VIEW_WHOLESALE, NONE, 200),
    "carrier-bill": (C.VIEW_WHOLESALE, pk("carrier_bill"), 200),
    "carrier-bill-remove": (C.VIEW_WHOLESALE, pk("carrier_bill"), 200),
    "carrier-bill-pass": (C.VIEW_WHOLESALE, pk("carrier_bill"), 200),
    "carrier-bill-take-back": (C.VIEW_WHOLESALE, pk("carrier_bill"), 200),
    "carrier-allocate": (C.VIEW_WHOLESALE, NONE, 200),
    "carrier-charge-list": (C.VIEW_WHOLESALE, NONE, 200),
    "carrier-charge": (C.VIEW_WHOLESALE, pk("carrier_charge"), 200),
    "carrier-charge-allocate": (C.VIEW_WHOLESALE, pk("carrier_charge"), 200),
    "carrier-charge-leave-out": (C.VIEW_WHOLESALE, pk("carrier_charge"), 200),
    "carrier-charge-open": (C.VIEW_WHOLESALE, pk("carrier_charge"), 200),
    "carrier-charge-take-back": (C.VIEW_WHOLESALE, pk("carrier_charge"), 200),
    "cdr-file-list": (C.VIEW_USAGE, NONE, 200),
    "cdr-completeness": (C.VIEW_USAGE, NONE, 200),
    "cdr-upload": (C.IMPORT, NONE, 200),
    "cdr-file": (C.VIEW_USAGE, pk("file"), 200),
    "cdr-file-errors": (C.IMPORT, pk("file"), 200),
    "cdr-file-remove": (C.IMPORT, pk("file"), 200),
    "customer-list": (C.VIEW_BOOK, NONE, 200),
    "customer-add": (C.EDIT_BOOK, NONE, 200),
    "customer": (C.VIEW_BOOK, pk("customer"), 200),
    "customer-edit": (C.EDIT_BOOK, pk("customer"), 200),
    "customer-status": (C.EDIT_BOOK, pk("customer"), 200),
    "customer-note": (C.EDIT_BOOK, pk("customer"), 200),
    "customer-mandate": (C.COLLECT, pk("customer"), 200),
    "customer-mandate-end": (C.COLLECT, pk("customer"), 200),
    "customer-number": (C.EDIT_BOOK, pk("customer"), 200),
    "customer-feature": (C.EDIT_BOOK, pk("customer"), 200),
    "customer-tariff": (C.EDIT_BOOK, pk("customer"), 200),
    "dealer-list": (C.VIEW_BOOK, NONE, 200),
    "dealer-add": (C.EDIT_BOOK, NONE, 200),
    "dealer": (C.VIEW_BOOK, pk("dealer"), 200),
    "dealer-edit": (C.EDIT_BOOK, pk("dealer"), 200),
    "exchange-rates": (C.VIEW_MONEY, NONE, 200),
    "exchange-rates-fetch": (C.IMPORT, NONE, 405),
    "feature-list": (C.VIEW_BOOK, NONE, 200),
    "feature": (C.VIEW_BOOK, pk("feature"), 200),
    "feature-change": (C.EDIT_BOOK, pk("feature"), 200),
    "feature-change-back": (C.EDIT_BOOK, pk("feature"), 200),
    "feature-end": (C.EDIT_BOOK, pk("feature"), 200),
    "feature-reopen": (C.EDIT_BOOK, pk("feature"), 200),
    "feature-type-list": (C.VIEW_BOOK, NONE, 200),
    "feature-type-add": (C.EDIT_BOOK, NONE, 200),
    "feature-type": (C.VIEW_BOOK, pk("feature_type"), 200),
    "feature-type-edit": (C.EDIT_BOOK, pk("feature_type"), 200),
    "feature-price-add": (C.EDIT_BOOK, pk("feature_type"), 200),
    "import-list": (C.IMPORT, NONE, 200),
    "import-start": (C.IMPORT, lambda w: ["customers"], 200),
    "import-template": (C.IMPORT, lambda w: ["customers", "csv"], 200),
    "match": (C.VIEW_WHOLESALE, NONE, 200),
    "match-again": (C.VIEW_WHOLESALE, NONE, 200),
    "match-service": (C.VIEW_WHOLESALE, pk("service"), 200),
    "number-list": (C.VIEW_BOOK, NONE, 200),
    "number-add": (C.EDIT_BOOK, NONE, 200),
    "number": (C.VIEW_BOOK, pk("number"), 200),
    "number-edit": (C.EDIT_BOOK, pk("number"), 200),
    "number-assign": (C.EDIT_BOOK, pk("number"), 200),
    "number-end": (C.EDIT_BOOK, pk("number"), 200),
    "number-supply": (C.EDIT_BOOK, pk("number"), 200),
    "number-tariff": (C.EDIT_BOOK, pk("number"), 200),
    "search": (C.VIEW_BOOK, NONE, 200),
    "deck-difference": (C.IMPORT, pk("deck"), 200),
    "tariff-list": (C.VIEW_BOOK, NONE, 200),
    "tariff-add": (C.EDIT_BOOK, NONE, 200),
    "tariff": (C.VIEW_BOOK, pk("tariff"), 200),
    "tariff-edit": (C.EDIT_BOOK, pk("tariff"), 200),
    "tariff-compare": (C.VIEW_MONEY, NONE, 200),
    "tariff-copy": (C.EDIT_BOOK, pk("tariff"), 200),
    "tariff-supersede": (C.EDIT_BOOK, pk("tariff"), 200),
    "tariff-rates": (C.VIEW_BOOK, pk("tariff"), 200),
    "rate-add": (C.EDIT_BOOK, pk("tariff"), 200),
    "rate-change": (C.EDIT_BOOK, pk("rate"), 200),
    "rate-end": (C.EDIT_BOOK, pk("rate"), 200),
    "band-add": (C.EDIT_BOOK, pk("tariff"), 200),
    "band-edit": (C.EDIT_BOOK, pk("band"), 200),
    "band-remove": (C.EDIT_BOOK, pk("band"), 200),
    "markup-add": (C.EDIT_BOOK, pk("tariff"), 200),
    "markup-edit": (C.EDIT_BOOK, pk("markup"), 200),
    "markup-remove": (C.EDIT_BOOK, pk("markup"), 200),
    "what-if": (C.VIEW_MARGIN, NONE, 200),
    "what-if-result": (C.VIEW_MARGIN, pk("answer"), 200),
    "aged-debt": (C.VIEW_MONEY, NONE, 200),
    "credit-note": (C.VIEW_MONEY, pk("note"), 200),
    "credit-note-list": (C.VIEW_MONEY, NONE, 200),
    "charge-remove": (C.BILL, pk("waiting"), 200),
    "customer-bill": (C.VIEW_MONEY, pk("customer"), 200),
    "customer-charge": (C.BILL, pk("customer"), 200),
    "customer-contract": (C.EDIT_BOOK, pk("customer"), 200),
    "uplift": (C.VIEW_MONEY, pk("uplift"), 200),
    "uplift-add": (C.BILL, NONE, 200),
    "uplift-apply": (C.BILL, pk("uplift"), 200),
    "uplift-discard": (C.BILL, pk("uplift"), 200),
    "uplift-index": (C.BILL, NONE, 200),
    "uplift-list": (C.VIEW_MONEY, NONE, 200),
    "uplift-take-back": (C.BILL, pk("uplift"), 200),
    "invoice": (C.VIEW_MONEY, pk("invoice"), 200),
    "invoice-credit": (C.BILL, pk("invoice"), 200),
    "invoice-lines": (C.VIEW_MONEY, pk("invoice"), 200),
    "invoice-list": (C.VIEW_MONEY, NONE, 200),
    "payment": (C.VIEW_MONEY, pk("payment"), 200),
    "payment-add": (C.COLLECT, NONE, 200),
    "payment-list": (C.VIEW_MONEY, NONE, 200),
    "mandate-list": (C.VIEW_MONEY, NONE, 200),
    "payment-reverse": (C.COLLECT, pk("payment"), 200),
    "price-again": (C.BILL, NONE, 200),
    "rerate-result": (C.BILL, pk("preview"), 200),
    "run": (C.VIEW_MONEY, pk("run"), 200),
    "post-billing": (C.VIEW_MONEY, pk("run"), 200),
    "run-change": (C.BILL, pk("run"), 200),
    "run-check": (C.BILL, pk("run"), 200),
    "run-confirm": (C.BILL, pk("run"), 200),
    "run-list": (C.VIEW_MONEY, NONE, 200),
    "run-prepare": (C.BILL, NONE, 200),
    "run-prebilling": (C.BILL, pk("run"), 200),
    "run-prebilling-check": (C.BILL, lambda w: [w.run.pk, "zero_rates"], 200),
    "run-produce": (C.BILL, pk("run"), 200),
    "run-send": (C.BILL, pk("run"), 200),
    "run-undo": (C.BILL, pk("run"), 200),
    "report-list": (C.RUN_REPORTS, NONE, 200),
    "report": (C.RUN_REPORTS, lambda w: ["invoices"], 200),
    "report-save": (C.RUN_REPORTS, lambda w: ["invoices"], 200),
    "run-result": (C.RUN_REPORTS, pk("report"), 200),
    "run-export": (C.RUN_REPORTS, lambda w: [w.report.pk, "csv"], 200),
    "run-mail": (C.SHARE, pk("report"), 200),
    "run-share": (C.SHARE, pk("report"), 200),
    "link-revoke": (C.SHARE, pk("link"), 405),
    "link-rotate": (C.SHARE, pk("link"), 405),
    "link-list": (C.SHARE, NONE, 200),
    "run-schedule": (C.SHARE, pk("report"), 200),
    "run-changes": (C.RUN_REPORTS, pk("report"), 200),
    "comparison": (C.RUN_REPORTS, pk("comparison"), 200),
    "comparison-export": (C.RUN_REPORTS, pk("comparison"), 200),
    "schedule-list": (C.SHARE, NONE, 200),
    "schedule": (C.SHARE, pk("schedule"), 200),
    "schedule-edit": (C.SHARE, pk("schedule"), 200),
    "schedule-pause": (C.SHARE, pk("schedule"), 405),
    "schedule-resume": (C.SHARE, pk("schedule"), 405),
    "schedule-run": (C.SHARE, pk("schedule"), 405),
    "schedule-delete": (C.SHARE, pk("schedule"), 200),
    "outbox": (C.SHARE, NONE, 200),
    "outbox-mail": (C.SHARE, pk("mail"), 200),
    "outbox-body": (C.SHARE, pk("mail"), 200),
    "review": (C.VIEW_REVIEW, NONE, 200),
    "review-month": (C.VIEW_REVIEW, lambda w: ["2026-08"], 200),
    "review-week": (C.VIEW_REVIEW, lambda w: ["2026-08", "2"], 200),
    "review-step": (C.BILL, lambda w: ["2026-08", "2", "churn"], 200),
    "review-note-action": (C.BILL, lambda w: ["2026-08", "2", "churn"], 200),
    "review-sign": (C.BILL, lambda w: ["2026-08", "2"], 200),
    "review-reopen": (C.MANAGE, lambda w: ["2026-08", "2"], 200),
    "review-actions": (C.VIEW_REVIEW, NONE, 200),
    "review-action": (C.VIEW_REVIEW, pk("action"), 200),
    "review-action-close": (C.BILL, pk("action"), 200),
    "review-steps": (C.VIEW_REVIEW, NONE, 200),
    "review-step-add": (C.MANAGE, NONE, 200),
    "review-days": (C.MANAGE, NONE, 200),
    "review-step-edit": (C.MANAGE, lambda w: ["churn"], 200),
    "review-step-reset": (C.MANAGE, lambda w: ["churn"], 200),
    "roles": (C.MANAGE, NONE, 200),
    "job": (C.SIGNED_IN, pk("job"), 200),
    "switch-reseller": (C.SIGNED_IN, NONE, 200),
}

#: Addresses outside the table, each with its reason.
ELSEWHERE = {
    "login": "the door itself",
    "logout": "posts only; leads back to the door",
    "theme": "a cookie of the reader's own",
    "brand": "a colour",
    "healthz": "says only that the process answers",
    "readyz": "says only whether database and broker answer",
    "shared-view": "opened by its token: tests/reports/test_sharing.py",
    "query-open": "leads on to a form: tests/reports/test_saved_queries.py",
    "query-change": "its owner's alone: tests/reports/test_saved_queries.py",
    "query-delete": "its owner's alone: tests/reports/test_saved_queries.py",
    "stay-answer": "opened by its token: tests/kpis/test_stay.py",
    "backend": "read with a key: tests/kpis/test_backend.py",
    "backend-category": "read with a key: tests/kpis/test_backend.py",
    "backend-answer": "read with a key: tests/kpis/test_backend.py",
    "backend-openapi": "describes the endpoints, names no data",
    "cdr-check": "belongs to the upload of one session: tests/web/test_usage_files.py",
    "import-check": "belongs to the upload of one session: tests/billing/test_book_pages.py",
}

#: What a dealer of the house finds at an object that is not its customer's: (name) -> status, with the reason.
DEALER_FINDS = {
    "run": (404, "a run is of the whole house"),
    "post-billing": (404, "a run is of the whole house"),
    "cdr-file": (404, "a carrier's file holds calls of every customer"),
    "job": (404, "a dealer sees the jobs it started"),
    "uplift": (404, "a price rise tells what every customer pays"),
    "run-result": (404, "a run is made for its maker's rights"),
    "run-export": (404, "a run is made for its maker's rights"),
    "run-changes": (404, "a run is made for its maker's rights"),
    "comparison": (404, "a run is made for its maker's rights"),
    "comparison-export": (404, "a run is made for its maker's rights"),
}


def names(resolver: URLResolver | None = None) -> Iterator[str]:
    """Yield the name of every address of the house."""
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLResolver):
            yield from names(pattern)
        elif isinstance(pattern, URLPattern):
            assert pattern.name, pattern
            yield pattern.name


def client_of(user: User) -> Client:
    """Return a browser in which the person is signed in."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_every_address_is_in_the_table() -> None:
    known = set(PAGES) | set(ELSEWHERE)
    assert set(names()) == known


def address(name: str, worked: Worked) -> str:
    """Return the address of a page for a house's object."""
    return reverse(name, args=PAGES[name][1](worked))


def statuses(client: Client, worked: Worked) -> dict[str, int]:
    """Open every page of the table for a house's objects."""
    return {name: client.get(address(name, worked)).status_code for name in PAGES}


def everything(response: Any) -> bytes:
    """Return a response's headers and content, a file's too."""
    content = b"".join(response.streaming_content) if response.streaming else response.content
    return str(response.headers).encode() + content


@pytest.fixture
def houses(tmp_path: Path) -> tuple[World, Worked, Worked]:
    return worked_world(tmp_path)


def test_strangers_are_led_to_the_door(houses: tuple[World, Worked, Worked]) -> None:
    found = statuses(Client(), houses[1])
    assert {name for name, status in found.items() if status != 302} == set()


@pytest.mark.parametrize("who", ["ana", "vic", "dee", "sam"])
def test_each_role_opens_what_its_capabilities_allow(houses: tuple[World, Worked, Worked], who: str) -> None:
    world, alpha, _ = houses
    user: User = getattr(world, who)
    role = {"ana": Role.OWNER, "vic": Role.VIEWER, "dee": Role.DEALER, "sam": Role.OPERATOR}[who]
    if who == "sam":
        user.current_reseller = world.alpha.reseller
        user.save()
    expected = {
        name: right if capability in capabilities(role) else 403
        for name, (capability, _, right) in PAGES.items()
    }
    if who == "dee":
        expected |= {name: status for name, (status, _) in DEALER_FINDS.items()}
    found = statuses(client_of(user), alpha)
    assert {n: s for n, s in found.items() if s != expected[n]} == {}


def test_the_objects_of_another_house_do_not_exist(houses: tuple[World, Worked, Worked]) -> None:
    world, alpha, _ = houses
    found = statuses(client_of(world.bo), alpha)
    own = {
        n for n, (_, args, _) in PAGES.items() if args is NONE or all(isinstance(a, str) for a in args(alpha))
    }
    assert {n: s for n, s in found.items() if n not in own and s not in (404, 405)} == {}


def test_no_page_shows_anything_of_another_house(houses: tuple[World, Worked, Worked]) -> None:
    world, alpha, beta = houses
    browser = client_of(world.ana)
    shown = [
        name
        for name in PAGES
        for response in [browser.get(address(name, alpha))]
        if CANARY.encode() in everything(response)
    ]
    assert shown == []
    assert CANARY in client_of(world.bo).get(address("customer", beta)).content.decode()
