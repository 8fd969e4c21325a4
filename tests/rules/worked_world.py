"""The named world after a month's work: calls loaded, bills sent, money received, a report run and shared."""

import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from django.utils import timezone

from billing.bills import bill, credit
from billing.charging.adjust import add_charge
from billing.charging.three_way import match
from billing.checks.acts import write_note
from billing.importing.uploads import keep
from billing.models import (
    BillingRun,
    Bundle,
    Call,
    CarrierCharge,
    CarrierInvoice,
    CdrFile,
    Charge,
    CreditNote,
    Customer,
    Feature,
    FeatureType,
    Finding,
    FraudAlert,
    Invoice,
    Number,
    Observation,
    Payment,
    PriceUplift,
    ServiceMatch,
    SpendLimit,
    Tariff,
    TariffMarkup,
    TariffRate,
    TimeBand,
)
from billing.pipeline import import_cdrs
from billing.pipeline_decks import compare_deck
from billing.pipeline_prices import preview_rerate, what_if
from billing.receivables.payments import PaymentRow, record_payments
from billing.results import keep_result
from kpis.models import Campaign
from kpis.stay import write_down
from reports.changes import compare
from reports.models import (
    Comparison,
    Letter,
    MailDelivery,
    ReviewAction,
    Run,
    Schedule,
    ShareLink,
    SignedWeek,
)
from reports.registry import REPORTS
from reports.run import run as run_report
from reports.sharing import mint
from resellerkpi.core.access import Role
from resellerkpi.core.keys import mint as make_key
from resellerkpi.core.models import ApiKey, Job
from resellerkpi.core.periods import parse_month
from resellerkpi.core.scope import Scope, enter
from tests.world import CANARY, House, World, code_of, make_world

NOW = datetime(2026, 9, 3, 9, 0, tzinfo=UTC)
MAPPING = {
    "service": "voice",
    "has_header": True,
    "columns": {
        "uid": "id",
        "identity": ["from"],
        "cli": "from",
        "dialled": "to",
        "started_at": "start",
        "duration": "seconds",
        "cost": "cost",
    },
    "time_format": "%Y-%m-%d %H:%M:%S",
}


@dataclass
class Worked:
    """One house's objects, by the argument each address takes."""

    house: House
    customer: Customer
    dealer: int
    carrier: int
    carrier_bill: CarrierInvoice
    carrier_charge: CarrierCharge
    number: Number
    feature: Feature
    waiting: Charge
    uplift: PriceUplift
    feature_type: FeatureType
    package: FeatureType
    allowance: Bundle
    tariff: Tariff
    rate: TariffRate
    band: TimeBand
    markup: TariffMarkup
    file: CdrFile
    call: Call
    run: BillingRun
    invoice: Invoice
    note: CreditNote
    payment: Payment
    report: Run
    link: ShareLink
    schedule: Schedule
    mail: MailDelivery
    comparison: Comparison
    action: ReviewAction
    token: str
    key: ApiKey
    job: Job
    preview: Job
    answer: Job
    deck: Job
    campaign: str
    service: ServiceMatch
    warning: FraudAlert
    finding: Finding
    limit: SpendLimit


def carrier_bill(house: House, mark: str) -> CarrierInvoice:
    """Make a carrier's bill of one line, for the first customer's number."""
    bill_of_carrier = CarrierInvoice.objects.create(
        reseller=house.reseller, carrier=house.carrier, number=f"{mark}-77", invoice_date=date(2026, 9, 1),
        currency="GBP", net=Decimal("9.00"), file_name=f"{mark}.csv",
    )  # fmt: skip
    CarrierCharge.objects.create(
        reseller=house.reseller, invoice=bill_of_carrier, line=2, reference=house.numbers[0].number,
        description=f"{mark} rental", service_start=date(2026, 8, 1), service_end=date(2026, 9, 1),
        amount=Decimal("8.25"), state="allocated", found="reference", number=house.numbers[0],
        customer=house.customers[0],
    )  # fmt: skip
    return bill_of_carrier


def worked_world(folder: Path) -> tuple[World, Worked, Worked]:
    """Make the world and take both houses through August 2026."""
    world = make_world()
    return world, _work(world.alpha, "Alpha", folder), _work(world.beta, CANARY, folder)


def _work(house: House, mark: str, folder: Path) -> Worked:
    known, unknown = house.numbers[0].number, "0199999999"
    path = folder / f"{mark}.csv"
    lines = [
        f"{n},{who},{to},2026-08-0{n} 10:00:00,{60 * n},0.01"
        for n, who, to in (
            (1, known, "+447700900001"),
            (2, known, "+441632960001"),
            (3, unknown, "+441632960001"),
        )
    ]
    path.write_text("\n".join(["id,from,to,start,seconds,cost", *lines, f"{mark},bad line,,,,"]) + "\n")
    scope = house.scope()
    with enter(scope):
        import_cdrs(reseller=house.reseller, carrier=house.carrier, path=path, now=NOW, mapping=MAPPING)
    zone = ZoneInfo(house.reseller.time_zone)
    run = bill(
        house.reseller, parse_month("2026-08", zone), until="sent", now=NOW, scope=scope, accept="tests"
    )
    with enter(scope):
        invoice = Invoice.objects.filter(customer=house.customers[0]).get()
        record_payments(
            house.reseller,
            [
                PaymentRow(
                    house.customers[0].pk, date(2026, 9, 5), Decimal("5.00"), "GBP", "transfer", f"{mark}-PAY"
                )
            ],
        )
        note = credit(
            invoice.pk,
            reason=f"{mark} goodwill",
            on=date(2026, 9, 6),
            now=NOW,
            lines={invoice.lines.order_by("position").first().pk: Decimal("1.00")},
        )
        report = run_report(
            REPORTS.get("invoices"),
            {"on_or_after": ["2026-08-01"], "before": ["2026-10-01"]},
            now=timezone.now(),
        )
        link, token = mint(report, now=timezone.now())
        bill_of_carrier = carrier_bill(house, mark)
        match(house.reseller, date(2026, 8, 1), date(2026, 9, 1), now=NOW)
        return Worked(
            house=house,
            customer=house.customers[0],
            dealer=house.dealers[0].pk,
            carrier=house.carrier.pk,
            carrier_bill=bill_of_carrier,
            carrier_charge=bill_of_carrier.charges.get(),
            number=house.numbers[0],
            feature=house.features[0],
            waiting=add_charge(
                house.customers[0], description=f"{mark} call-out", amount=Decimal(60), on=NOW.date()
            ),
            uplift=PriceUplift.objects.create(
                reseller=house.reseller,
                name=f"{mark} rise",
                percent=Decimal("4"),
                effective_date=date(2026, 12, 1),
            ),
            feature_type=house.line,
            package=house.package,
            allowance=house.package.bundles.get(),
            tariff=house.retail,
            rate=TariffRate.objects.filter(tariff=house.retail).earliest("pk"),
            band=TimeBand.objects.get(tariff=house.retail),
            markup=TariffMarkup.objects.create(
                reseller=house.reseller,
                tariff=house.retail,
                call_class=f"{mark} other",
                percent=Decimal("12.5"),
            ),
            file=CdrFile.objects.get(),
            call=Call.objects.order_by("started_at").first(),
            run=run,
            invoice=invoice,
            note=note,
            payment=Payment.objects.get(),
            report=report,
            link=link,
            token=token,
            schedule=scheduled(report, mark),
            mail=mailed(report, mark),
            comparison=compared(report),
            action=reviewed(house, mark),
            key=make_key(f"{mark} key", sees=[], now=timezone.now())[0],
            job=Job.objects.create(
                reseller=house.reseller, kind="house.sweep", title=f"{mark} job", state="done"
            ),
            preview=_preview(house, mark),
            answer=_answer(house, mark),
            deck=_deck(house, mark),
            campaign=_campaign(house, mark),
            service=ServiceMatch.objects.filter(number=house.numbers[0]).earliest("pk"),
            warning=warning(house, mark),
            finding=finding(house, mark, unknown),
            limit=SpendLimit.objects.get(),
        )


def finding(house: House, mark: str, number: str) -> Finding:
    """Return a leak of the register: the call of a number that nobody has."""
    found: Finding = Finding.objects.create(
        reseller=house.reseller, check_slug="unrated_calls", family="leakage", level="error", subject=mark,
        label=f"{mark} leak", period=date(2026, 8, 1), why=f"{mark} calls for free.", money_per_month=Decimal("0.01"),
        money_to_date=Decimal("0.01"), currency="GBP", page="billing-errors", about={"subject": number},
        first_seen=NOW, last_seen=NOW,
    )  # fmt: skip
    write_note(found.pk, words=f"{mark} is looking into it.", now=NOW)
    return found


def warning(house: House, mark: str) -> FraudAlert:
    """Return a warning of a spend limit of the first customer, with the calls of August."""
    limit = SpendLimit.objects.create(
        reseller=house.reseller, customer=house.customers[0], per="month", covers="destination",
        destination=f"{mark} Cuba", amount=Decimal(1), start_date=date(2026, 1, 1),
    )  # fmt: skip
    return FraudAlert.objects.create(
        reseller=house.reseller, subject="limit", period=date(2026, 8, 1), mark="over", label=f"{mark} alarm",
        why=f"{mark} reached its limit.", customer=house.customers[0], limit=limit, calls=2, retail=Decimal(2),
        currency="GBP", cells={"first": "2026-08-01", "until": "2026-09-01", "covers": "all", "destination": ""},
        first_seen=NOW, last_seen=NOW,
    )  # fmt: skip


def scheduled(report: Run, mark: str) -> Schedule:
    """Return a schedule that nobody owns any more: far from due."""
    return Schedule.objects.create(
        reseller=report.reseller, name=f"{mark} invoices", report="invoices", params={"period": ["last_month"]},
        frequency="monthly", time="07:00", zone="Europe/London", recipients=[f"boss@{code_of(mark)}.example"],
        columns=["number", "gross"], role="owner", created_at=NOW, next_run_at=NOW + timedelta(days=3_650),
    )  # fmt: skip


def compared(report: Run) -> Comparison:
    """Return a comparison that anybody who may run the report may open."""
    with enter(Scope.of(report.reseller_id, role=Role.VIEWER)):
        return compare(report, now=timezone.now(), user=None)


def reviewed(house: House, mark: str) -> ReviewAction:
    """Return an action of a review whose first week is signed."""
    own = {"reseller": house.reseller, "month": date(2026, 8, 1), "week": 1}
    figure = {
        "kpi": "mrr", "name": "Monthly recurring revenue", "month": "2026-07-01", "by": "", "key": "", "label": "",
        "currency": "GBP", "value": "1", "text": "£1.00", "change": "", "wrong": "",
    }  # fmt: skip
    step = {
        "slug": "churn", "title": f"{mark} churn", "help": "", "planned": 5, "state": "done", "why": [],
        "note": f"{mark} note", "minutes": 4, "assignee": "", "done_by": mark, "figures": [figure],
    }  # fmt: skip
    SignedWeek.objects.create(
        **own, due=date(2026, 8, 7), signed_at=NOW, by_name=mark, on_time=False, minutes=4, shown=[step]
    )
    return ReviewAction.objects.create(**own, step="churn", what=f"{mark} action", kpi="mrr", noted_at=NOW)


def mailed(report: Run, mark: str) -> MailDelivery:
    """Return a mail with a report as it was sent."""
    request = uuid.uuid4()
    letter = Letter.objects.create(
        reseller=report.reseller, run=report, request=request, columns=["number"], subject=f"{mark} invoices",
        sender=mark, text=f"{mark} in words", html=f"<p>{mark} in full</p>", written_at=NOW,
        files=[{"name": f"{mark}.csv", "kind": "csv", "size": 2_000, "rows": 3, "sha256": "0" * 64}],
    )  # fmt: skip
    return MailDelivery.objects.create(
        reseller=report.reseller, run=report, request=request, recipient=f"boss@{code_of(mark)}.example",
        letter=letter, state="sent", asked_at=NOW, sent_at=NOW,
    )  # fmt: skip


def _campaign(house: House, mark: str) -> str:
    """Return the name of a campaign with a cost, that won the first customer, who says why it stays."""
    name = f"{mark} mailing"
    Campaign.objects.create(reseller=house.reseller, name=name, source=f"{mark} post")
    Observation.objects.create(
        reseller=house.reseller, metric="marketing_spend", date=date(2026, 8, 1), dimension="campaign", key=name,
        value=Decimal(50), currency="GBP",
    )  # fmt: skip
    Customer.objects.filter(pk=house.customers[0].pk).update(campaign=name)
    write_down(house.customers[0], reason="people", words=f"{mark} people", now=timezone.now())
    return name


def _preview(house: House, mark: str) -> Job:
    """Return a preview of pricing August again, as its job leaves it."""
    where = {"first": "2026-08-01", "last": "2026-08-31"}
    found = preview_rerate(house.reseller, where, now=NOW)
    return _finished(house, mark, "usage.preview", {"where": where}, found)


def _answer(house: House, mark: str) -> Job:
    """Return the answer to what August would have cost at a tenth more, as its job leaves it."""
    assert house.retail is not None
    asked = {
        "kind": "change", "first": "2026-08-01", "end": "2026-09-01", "tariff_id": house.retail.pk, "notice_days": 30,
        "as_of": "2026-08-01", "changes": [{"match": "", "percent": "10"}], "floor": "20",
    }  # fmt: skip
    return _finished(house, mark, "prices.what_if", {"asked": asked}, what_if(house.reseller, asked))


def _deck(house: House, mark: str) -> Job:
    """Return the comparison of a deck with the retail tariff, as its job leaves it."""
    assert house.retail is not None
    token, path = keep([f"prefix,destination,price\n4477,{mark} mobile,0.09\n".encode()])
    given = {"mapping": {}, "options": {"tariff": house.retail.name, "effective": "2026-10-01"}}
    found = compare_deck(house.reseller, path, **given, today=NOW.date())
    return _finished(house, mark, "tariff.compare", {"token": token, **given}, found)


def _finished(house: House, mark: str, kind: str, params: dict[str, object], found: dict[str, object]) -> Job:
    kept = keep_result(found, name=f"{mark} {kind}", now=timezone.now())
    result = {"artifact": kept, "fingerprint": found.get("fingerprint")}
    return Job.objects.create(
        reseller=house.reseller, kind=kind, title=f"{mark} {kind}", state="done", params=params, result=result
    )
