"""The monthly review: the routine's every bullet, when a step is clear, weeks signed with their evidence, actions.

Alpha has Al from January and Bo from February 2026; it is 20 May 2026, week 3 of May.
"""

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
import time_machine
from django.db import InternalError, transaction

from billing.checks.declare import CHECKS
from billing.models import Carrier, CdrFile, Customer, Feature, Finding, Invoice, NumberAssignment
from kpis.kpi import KPIS
from kpis.reading import Reader
from kpis.snapshots import refresh
from reports.jobs import remind_of_reviews
from reports.models import Evidence, ReviewAction, ReviewReminder, ReviewStep, Run, SignedWeek
from reports.registry import REPORTS
from reports.reviewing import acts, days, reminders, template
from reports.reviewing.acts import BadReview, Note, Plan
from reports.reviewing.defaults import STEPS
from reports.reviewing.figures import Figures
from reports.reviewing.look import WeekLook, look_at
from reports.reviewing.signed import as_signed
from reports.reviewing.steps import HOUR, KpiLine, Step
from reports.reviewing.steps import template as template_of
from reports.run import forget_expired
from resellerkpi.core.access import Role
from resellerkpi.core.jobs import Task
from resellerkpi.core.models import AuditEvent, Reseller
from resellerkpi.core.scope import Scope, enter
from tests.kpis import worlds
from tests.kpis.test_kpi_pages import account, house, someone

pytestmark = pytest.mark.django_db
NOW = worlds.NOW
MAY = date(2026, 5, 1)

#: Every bullet of the routine, by week, and the step that it is.
ROUTINE = {
    "Check total invoiced versus last month": (1, "total-invoiced"),
    "Review error rates and unrated calls": (1, "error-rates"),
    "Note any customers with unusually high or low invoices": (1, "unusual-invoices"),
    "Review customer KPIs for churn trends": (2, "churn"),
    "Identify customers with declining line counts": (2, "declining-lines"),
    "Spot new customers that need onboarding attention": (2, "onboarding"),
    "Check feature adoption rates for upsell opportunities": (3, "adoption"),
    "Review average revenue per customer by segment": (3, "revenue-by-segment"),
    "Identify customers on old tariffs who could be migrated": (3, "old-tariffs"),
    "Check outstanding invoices and aged debt": (4, "aged-debt"),
    "Review payment collection success rates": (4, "collection-success"),
    "Flag any customers consistently paying late": (4, "late-payers"),
    "Track payment collection rates monthly": (4, "collection-rates"),
    "Check for unrated calls after every CDR processing run": (1, "unrated-after-files"),
    "Review recurring billing charges quarterly against what is provisioned": (1, "provisioned"),
}
#: The figures each bullet asks for.
ASKED = {
    "total-invoiced": {"total_invoiced"},
    "error-rates": {"cdr_error_rate", "unrated_calls"},
    "unusual-invoices": {"invoice_anomalies"},
    "churn": {"churn_customer"},
    "declining-lines": {"declining_customers"},
    "onboarding": {"onboarding"},
    "adoption": {"feature_take_up"},
    "revenue-by-segment": {"arpu"},
    "old-tariffs": {"old_tariff_customers"},
    "aged-debt": {"outstanding", "aged_debt"},
    "collection-success": {"payment_first_time_success"},
    "late-payers": {"late_payers"},
    "collection-rates": {"collection_rate_30", "collection_rate_60"},
}


@pytest.fixture(autouse=True)
def _noon() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def alpha() -> Reseller:
    return house("alpha", account("al", "", date(2026, 1, 5)), account("bo", "", date(2026, 2, 3)))


def scope_of(made: Reseller, role: Role = Role.OWNER) -> Scope:
    return Scope.of(made.pk, role=role, why="test")


def look(made: Reseller, number: int, *, now: datetime = NOW, month: date = MAY, **more: Any) -> WeekLook:
    """Look at a week; call it inside the scope."""
    week = days.weeks_of([month], now.date(), whole=True)[month][number - 1]
    return look_at([week], reseller=made, scope=scope_of(made), now=now, **more)[0]


def do_all(made: Reseller, number: int, *, now: datetime = NOW, month: date = MAY) -> WeekLook:
    """Mark every step of a week done, five minutes each; return the week as it stands then."""
    for step in look(made, number, now=now, month=month).steps:
        acts.write(
            look(made, number, now=now, month=month).week,
            step.step.slug,
            Note(done=True, note="Looked.", minutes=5),
            now=now,
            user=None,
        )
    return look(made, number, now=now, month=month)


def test_every_bullet_of_the_routine_is_a_step_with_its_figures() -> None:
    steps = {s.slug: s for s in STEPS}
    assert {b: steps[slug].week for b, (_, slug) in ROUTINE.items()} == {
        b: w for b, (w, _) in ROUTINE.items()
    }
    assert set(steps) - {slug for _, slug in ROUTINE.values()} == {"leaks"}
    minutes = {w: sum(s.minutes for s in STEPS if s.week == w) for w in (1, 2, 3, 4)}
    assert minutes == {1: 15, 2: 20, 3: 15, 4: 10}
    assert sum(minutes.values()) == HOUR
    assert {s: ASKED[s] - {line.slug for line in steps[s].kpis} for s in ASKED} == dict.fromkeys(ASKED, set())
    assert [line.by for line in steps["revenue-by-segment"].kpis] == ["", "segment"]
    cadences = {s.slug: s.cadence for s in STEPS if s.cadence != "monthly"}
    assert cadences == {"unrated-after-files": "file", "provisioned": "quarterly"}
    assert [s.slug for s in STEPS if not s.reports] == []
    assert {r.slug for s in STEPS for r in s.reports} - set(REPORTS.slugs()) == set()
    assert [(s.slug, k.slug) for s in STEPS for k in s.kpis if k.slug not in KPIS] == []
    assert [(s.slug, k.slug) for s in STEPS for k in s.kpis if k.by and k.by not in KPIS.get(k.slug).by] == []


def test_every_report_of_a_step_runs_with_the_query_of_the_month(alpha: Reseller) -> None:
    with enter(scope_of(alpha)):
        found = [
            link
            for n in (1, 2, 3, 4)
            for s in look(alpha, n, month=date(2026, 4, 1)).steps
            for link in s.links
        ]
        bad = {
            link.slug: form.errors
            for link in found
            if not (form := REPORTS.get(link.slug).Filters(link.params, reseller=alpha, now=NOW)).is_valid()
        }
        assert bad == {}
        spans = {
            link.slug: REPORTS.get(link.slug).Filters(link.params, reseller=alpha, now=NOW) for link in found
        }
        assert [f.is_valid() for f in spans.values()] == [True] * len(spans)
        assert str(spans["invoices"].interval) == "April 2026"
        assert str(spans["collections"].interval) == "March 2026"
        assert spans["outstanding"].as_of == date(2026, 4, 30)


@pytest.mark.parametrize(
    ("slug", "rule", "limit", "wrong"),
    [
        # April: two customers billed £50 in March (Bo), £50 in February (Al): total invoiced 0 in April.
        (
            "total_invoiced",
            "not_worse",
            "10",
            "Total invoiced: £0.00, −£50.00 (−100.0\xa0%) on the month before.",
        ),
        ("total_invoiced", "not_worse", "100", ""),
        ("total_invoiced", "at_least", "0.01", "Total invoiced: £0.00, less than £0.01."),
        ("customers_active", "at_most", "2", ""),
        ("customers_active", "at_most", "1", "Active customers: 2, more than 1."),
        ("customers_active", "at_most", "0", "Active customers: 2, and there should be none."),
        ("customers_active", "at_least", "2", ""),
        (
            "payment_first_time_success",
            "at_least",
            "97",
            "First-time payment success: there is no figure for Apr 2026.",
        ),
        ("churn_customer", "at_most", "0", ""),
    ],
)
def test_a_step_clears_by_itself_or_says_why_not(
    alpha: Reseller, slug: str, rule: str, limit: str, wrong: str
) -> None:
    step = Step("own", 3, "Own", "", kpis=(KpiLine(slug, rule=rule, limit=D(limit)),))
    with enter(scope_of(alpha)):
        found = look(alpha, 3, steps=[step]).steps[0]
    assert (found.why, found.state) == ([wrong] if wrong else [], "look" if wrong else "clear")


def test_a_rule_about_a_month_that_has_not_begun_is_not_clear_yet(alpha: Reseller) -> None:
    step = Step(
        "own", 1, "Own", "", kpis=(KpiLine("total_invoiced", of="this", rule="not_worse", limit=D(0)),)
    )
    assert step.clears == ["Total invoiced: not worse than the month before"]
    with enter(scope_of(alpha)):
        found = look(alpha, 1, steps=[step], month=date(2026, 8, 1)).steps[0]
    assert (found.state, found.why) == ("look", ["Total invoiced: there is no figure for Aug 2026 yet."])


def test_a_step_without_a_rule_waits_for_a_person_and_one_role_sees_what_another_does(
    alpha: Reseller,
) -> None:
    person = Step("own", 3, "Own", "", kpis=(KpiLine("mrr"),))
    hidden = Step(
        "margin", 3, "Margin", "", kpis=(KpiLine("supplier_cost", rule="at_least", limit=D(10**9)),)
    )
    with enter(scope_of(alpha, Role.VIEWER)) as scope:
        week = days.weeks_of([MAY], NOW.date())[MAY][2]
        margin, own = look_at([week], reseller=alpha, scope=scope, now=NOW, steps=[person, hidden])[0].steps
    assert (own.state, own.why) == ("look", ["Somebody has to look at it."])
    assert (margin.state, margin.why, margin.seen) == (
        "look",
        ["A figure that your role does not see is not clear."],
        [],
    )


def test_a_file_with_unpriced_calls_is_told_in_its_week(alpha: Reseller) -> None:
    with enter(scope_of(alpha)):
        from_carrier = {
            "reseller": alpha,
            "carrier": carrier(alpha),
            "format": "x",
            "size": 1,
            "state": "loaded",
        }
        for n, (loaded, unpriced) in enumerate([(15, 2), (21, 1), (22, 5), (20, 0)]):
            CdrFile.objects.create(
                **from_carrier, name=f"{n}.csv", sha256=f"{n:064}", rows=unpriced, unpriced=unpriced,
                loaded_at=datetime(2026, 5, loaded, 12, tzinfo=UTC),
            )  # fmt: skip
        step = next(s for s in look(alpha, 3).steps if s.step.slug == "unrated-after-files")
    assert step.why == ["0.csv: 2 calls without a price.", "1.csv: 1 call without a price."]


def carrier(made: Reseller) -> Any:
    return Carrier.objects.create(reseller=made, code="CARR", name="Carrier")


def test_a_week_is_signed_when_every_step_is_clear_or_done_and_keeps_what_it_showed(alpha: Reseller) -> None:
    with enter(scope_of(alpha)):
        with pytest.raises(BadReview, match="1 of 4 steps needs a look first"):
            acts.sign(look(alpha, 3), reseller=alpha, now=NOW, user=None)
        with pytest.raises(BadReview, match="has not begun"):
            acts.sign(do_all(alpha, 4), reseller=alpha, now=NOW, user=None)
        ready = do_all(alpha, 3)
        signed = acts.sign(ready, reseller=alpha, now=NOW, user=None)
        assert (signed.on_time, signed.minutes, signed.due) == (True, 20, date(2026, 5, 21))
        runs = {e.run.report: e.run for e in Evidence.objects.filter(signed=signed).select_related("run")}
        assert set(runs) == {link.slug for step in ready.steps for link in step.links}
        assert {run.kept_until for run in runs.values()} == {None}
        hashes = {slug: run.sha256 for slug, run in runs.items()}
        assert forget_expired(NOW + timedelta(days=4000)) == 0
        with pytest.raises(BadReview, match="signed off already"):
            acts.sign(ready, reseller=alpha, now=NOW, user=None)
        with pytest.raises(BadReview, match="an owner can open it again"):
            acts.write(ready.week, "adoption", Note(), now=NOW, user=None)
        with pytest.raises(InternalError, match="never changes"), transaction.atomic():
            SignedWeek.objects.filter(pk=signed.pk).update(minutes=1)

        # Something of April changes: the signed figures stay, beside them what they are now.
        before = {(f.kpi, f.when): f.text for s in kept(alpha, signed) for f in s.figures}
        assert [f.now for s in kept(alpha, signed) for f in s.figures if f.now] == []
        Invoice.objects.create(
            reseller=alpha, customer=Customer.objects.get(code="al"), number="late", state="issued",
            invoice_date=date(2026, 4, 9), due_date=date(2026, 4, 9), currency="GBP", net=10, gross=10,
        )  # fmt: skip
        template.keep(Step("adoption", 3, "Another title", ""))
        refresh(alpha, now=NOW)
        after = [f for s in kept(alpha, signed) for f in s.figures]
        assert {(f.kpi, f.when): f.text for f in after} == before
        assert [s.title for s in kept(alpha, signed)][0] == "Check feature adoption for upsell"
        assert {slug: Run.objects.get(pk=run.pk).sha256 for slug, run in runs.items()} == hashes


def kept(made: Reseller, signed: SignedWeek) -> list[Any]:
    return as_signed(signed, reseller=made, scope=scope_of(made), now=NOW)


def test_a_signed_figure_that_moved_says_what_it_is_now(alpha: Reseller) -> None:
    with enter(scope_of(alpha)):
        signed = acts.sign(do_all(alpha, 1), reseller=alpha, now=NOW, user=None)
        assert not signed.on_time
        bill = Invoice.objects.create(
            reseller=alpha, customer=Customer.objects.get(code="al"), number="late", state="issued",
            invoice_date=date(2026, 5, 9), due_date=date(2026, 5, 9), currency="GBP", net=10, gross=10,
        )  # fmt: skip
        assert bill.pk
        refresh(alpha, now=NOW)
        moved = {(f.name, f.text): f.now for s in kept(alpha, signed) for f in s.figures if f.now}
    assert moved[("Total invoiced", "£0.00")] == "£10.00"
    assert moved[("Invoices issued", "0")] == "1"


def test_only_an_owner_opens_a_week_again_and_what_was_signed_stays(alpha: Reseller) -> None:
    finance = scope_of(alpha, Role.FINANCE)
    with enter(scope_of(alpha)):
        ready = do_all(alpha, 3)
        signed = acts.sign(ready, reseller=alpha, now=NOW, user=None)
    with enter(finance), pytest.raises(BadReview, match="Only an owner"):
        acts.reopen(ready.week, why="x", reseller=alpha, now=NOW, user=None)
    with enter(scope_of(alpha)):
        with pytest.raises(BadReview, match="Say why"):
            acts.reopen(ready.week, why="  ", reseller=alpha, now=NOW, user=None)
        acts.reopen(ready.week, why="A bill was missing", reseller=alpha, now=NOW, user=None)
        again = acts.sign(look(alpha, 3), reseller=alpha, now=NOW + timedelta(days=2), user=None)
        rows = SignedWeek.objects.order_by("pk")
        assert [(r.pk, r.on_time, r.reopened_why) for r in rows] == [
            (signed.pk, True, "A bill was missing"),
            (again.pk, False, ""),
        ]
        assert Evidence.objects.filter(signed=signed).exists()
        events = AuditEvent.objects.filter(action__startswith="Review week").order_by("pk")
        assert [e.action for e in events] == [
            "Review week signed off",
            "Review week opened again",
            "Review week signed off",
        ]


def test_the_kpis_count_weeks_on_time_and_minutes(alpha: Reseller) -> None:
    with enter(scope_of(alpha)):
        first = NOW.replace(day=6)
        acts.sign(do_all(alpha, 1, now=first), reseller=alpha, now=first, user=None)
        missed = days.weeks_of([MAY], NOW.date())[MAY]
        assert [w.standing for w in missed] == ["signed", "overdue", "now", "ahead"]
        assert acts.count_missed(missed, today=NOW.date()) == 1
        acts.sign(do_all(alpha, 3), reseller=alpha, now=NOW, user=None)
        refresh(alpha, now=NOW.replace(day=31))
        reader = Reader(alpha, scope_of(alpha), NOW.replace(day=31))
        points = reader.points([KPIS.get("review_completed"), KPIS.get("review_minutes")], [MAY])
        share = points["review_completed"][""][0]
        assert (share.numerator, share.denominator) == (D(2), D(3))
        assert points["review_minutes"][""][0].value == 5 * 4 + 5 * 5


def test_an_action_comes_back_with_the_value_of_its_kpi_then_and_now(alpha: Reseller) -> None:
    with enter(scope_of(alpha)):
        week = look(alpha, 2).week
        plan = Plan("Ring Al", kpi="customers_active", due=date(2026, 6, 1))
        action = acts.note_action(week, "churn", plan, reseller=alpha, now=NOW, user=None)
        assert (action.value_month, action.value_then) == (date(2026, 4, 1), D(2))
        june = datetime(2026, 6, 9, 12, tzinfo=UTC)
        Feature.objects.filter(customer__code="bo").update(end_date=date(2026, 5, 25))
        NumberAssignment.objects.filter(customer__code="bo").update(end_date=date(2026, 5, 25))
        refresh(alpha, now=june)
        found = look(alpha, 2, now=june, month=date(2026, 6, 1))
        churn = next(s for s in found.steps if s.step.slug == "churn")
        assert [a.what for a in churn.actions] == ["Ring Al"]
        now = found.figures.at("customers_active", date(2026, 5, 1))
        assert now is not None
        assert now.value == 1
        acts.close_action(action, outcome="Bo left all the same", reseller=alpha, now=june, user=None)
        row = ReviewAction.objects.get()
        assert (row.value_closed, row.outcome) == (1, "Bo left all the same")
        with pytest.raises(BadReview, match="closed already"):
            acts.close_action(row, outcome="x", reseller=alpha, now=june, user=None)
        later = look(alpha, 2, now=june, month=date(2026, 7, 1))
        assert [s.actions for s in later.steps] == [[], [], [], []]


def test_a_reseller_edits_the_template_and_puts_it_back(alpha: Reseller) -> None:
    client = someone(alpha, Role.OWNER)
    page = "/review/steps/churn/"
    form = client.get(page).context["form"]
    given = {name: form[name].value() for name in form.fields}
    given = {k: v for k, v in given.items() if v not in (None, "", False)}
    changed = given | {"title": "Who left", "rule_1": "at_most", "limit_1": "3", "params_1": "group_by=month"}
    assert client.post(page, changed).status_code == 302
    with enter(scope_of(alpha)):
        step = next(s for s in template_of(STEPS) if s.slug == "churn")
        assert (step.title, step.kpis[0].rule, step.kpis[0].limit) == ("Who left", "at_most", D(3))
        assert step.kpis[0].words == "at most 3.0\xa0%"
        assert step.reports[0].params == {"group_by": ["month"]}
        assert [(s.slug, s.kpis[1:]) for s in STEPS if s.slug == "churn"] == [("churn", step.kpis[1:])]
    assert "Say how much." in client.post(page, changed | {"limit_1": ""}).content.decode()
    assert "is told by" in client.post(page, changed | {"by_1": "bucket"}).content.decode()
    assert client.post(page, changed | {"by_1": "manager"}).status_code == 422, "viewers read reviews, too"
    assert client.post("/review/steps/churn/reset/").status_code == 302
    added = {"title": "Churn", "week": 2, "position": 5, "cadence": "weekly", "minutes": 0, "in_use": "on"}
    assert client.post("/review/steps/add/", added).status_code == 302
    with enter(scope_of(alpha)):
        assert [s.slug for s in ReviewStep.objects.all()] == ["churn-2"]
        assert [s.step.slug for s in look(alpha, 3).steps][-2:] == ["churn-2", "unrated-after-files"]
    assert (
        client.post("/review/steps/days/", {"week_1": 9, "week_2": 9, "week_3": 20, "week_4": 31}).status_code
        == 422
    )
    assert (
        client.post(
            "/review/steps/days/", {"week_1": 9, "week_2": 15, "week_3": 20, "week_4": 31}
        ).status_code
        == 302
    )
    with enter(scope_of(alpha)):
        assert [w.due.day for w in days.weeks_of([date(2026, 2, 1)], NOW.date())[date(2026, 2, 1)]] == [
            9,
            15,
            20,
            28,
        ]


def test_a_step_watches_a_check_and_leads_to_its_findings(alpha: Reseller) -> None:
    client = someone(alpha, Role.OWNER)
    offered = dict(client.get("/review/steps/add/").context["form"].fields["check"].choices)
    assert offered.keys() == {"", "leakage", *(c.slug for c in CHECKS if c.family in ("leakage", "watch"))}
    given = {"title": "Fraud", "week": 2, "position": 1, "cadence": "monthly", "minutes": 2, "in_use": "on"}
    assert (
        "Choose at least one figure, report or check"
        in client.post("/review/steps/add/", given).content.decode()
    )
    assert client.post("/review/steps/add/", given | {"check": "fraud_watch"}).status_code == 302
    with enter(scope_of(alpha)):
        [step] = [s for s in look(alpha, 2).steps if s.step.slug == "fraud"]
        assert (step.state, step.step.clears) == ("clear", ["Fraud watch: no open finding"])
        about = {"reseller": alpha, "family": "watch", "period": MAY, "first_seen": NOW, "last_seen": NOW}
        for slug in ("fraud_watch", "fraud_watch", "unrated_calls"):
            Finding.objects.create(
                check_slug=slug, subject=str(uuid.uuid4()), label="One", level="warning", **about
            )
        [step] = [s for s in look(alpha, 2).steps if s.step.slug == "fraud"]
        assert step.why == ["2 open findings to work through."]
    assert '<a href="/usage/fraud/">Fraud watch</a>' in client.get("/review/2026-05/2/").content.decode()


def test_the_pages_say_how_the_weeks_stand(alpha: Reseller) -> None:
    client = someone(alpha, Role.FINANCE)
    page = client.get("/review/").content.decode()
    assert "No week is signed off yet." in page
    week = "/review/2026-05/3/"
    assert client.post(f"{week}sign/").status_code == 422
    saved = client.post(f"{week}adoption/", {"done": "on", "minutes": "7", "note": "Offer recording"})
    assert (saved.status_code, saved["Location"]) == (302, f"{week}#adoption")
    assert client.post(f"{week}adoption/", {"minutes": "-1"}).status_code == 422
    with enter(scope_of(alpha)):
        do_all(alpha, 3)
    assert "Sign off" in client.get(week).content.decode()
    assert client.post(f"{week}sign/").status_code == 302
    shown = client.get(week).content.decode()
    assert "signed off by" in shown
    assert "As signed: Feature take-up" in shown
    assert client.get(f"{week}reopen/").status_code == 403
    year = client.get("/review/").content.decode()
    assert "Signed on time" in year
    assert "1 of 3" in year
    assert client.get("/review/2026-13/").status_code == 404
    assert client.get("/review/2026-05/5/").status_code == 404
    assert client.get("/review/9999-12/").status_code == 404


def test_figures_are_read_once_for_all_steps(alpha: Reseller) -> None:
    with enter(scope_of(alpha)):
        figures = Figures(
            Reader(alpha, scope_of(alpha), NOW), MAY, [KpiLine("arpu"), KpiLine("arpu", by="segment")]
        )
        assert [f.label for f in figures.of(KpiLine("arpu", by="segment"))] == ["No segment"]
        assert [f.text for f in figures.of(KpiLine("arpu"))] == ["£0.00"]


def test_people_are_reminded_once_the_day_before_a_week_is_due(alpha: Reseller, mailoutbox: Any) -> None:
    for role in (Role.OWNER, Role.FINANCE, Role.VIEWER):
        someone(alpha, role)
    task = Task(job_id=str(uuid.uuid4()), stored_scope=scope_of(alpha))
    assert remind_of_reviews(task) == {"sent": 0, "missed": 0}
    with enter(scope_of(alpha)):
        first = NOW.replace(day=6)
        acts.sign(do_all(alpha, 1, now=first), reseller=alpha, now=first, user=None)
    assert remind_of_reviews(task) == {"sent": 2, "missed": 1}
    assert remind_of_reviews(task) == {"sent": 0, "missed": 1}
    assert [m.to for m in mailoutbox] == [["owner-alpha@example.com"], ["finance-alpha@example.com"]]
    assert mailoutbox[0].subject == "Alpha: week 3 of the review is due"
    assert "/review/2026-05/3/" in mailoutbox[0].body
    with enter(scope_of(alpha)):
        row = ReviewReminder.objects.first()
        row.taken_at = row.sent_at = None
        row.save()
        assert [reminders.take(row.pk, now=NOW), reminders.take(row.pk, now=NOW)] == [True, False]
        template.keep_days((7, 14, 22, 28), reminds=True)
        assert reminders.due_week(alpha, now=NOW) is None
        template.keep_days((7, 14, 21, 28), reminds=False)
        assert reminders.due_week(alpha, now=NOW) is None
