"""What customers answer: satisfaction and recommendation."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from billing.observed import CHOSEN, CSAT, NPS, Metric
from kpis.kpi import Family, Good, Need, Part, Parts, Rollup, Shape, Unit, derived, entered, kpi
from kpis.options import Options
from kpis.sources import observations
from resellerkpi.core.models import Reseller

SATISFIED, RECOMMENDED = observations(CSAT), observations(NPS)
SCORE = "(CASE WHEN r.score ~ '^[0-9]+$' THEN r.score::numeric ELSE 0 END)"
RECOMMENDERS = Part(RECOMMENDED, "r.value")
#: Scales of satisfaction: the highest score, and the first that is satisfied.
SCALES = {"1-5": (5, 4), "1-10": (10, 8)}
_MOST, _SATISFIED = (
    f"CASE %(csat_scale)s WHEN '1-10' THEN {SCALES['1-10'][n]} ELSE {SCALES['1-5'][n]} END" for n in (0, 1)
)
#: Answers on the scale in force, times something.
ANSWERED = f"CASE WHEN {SCORE} BETWEEN {{}} AND {_MOST} THEN {{}} ELSE 0 END"
ANSWERS = Part(SATISFIED, ANSWERED.format(1, "r.value"))


def csat_metric(reseller: Reseller) -> Metric:
    """Return how satisfaction is entered by a reseller: on the scale it chose."""
    most, _ = SCALES[Options.of(reseller).csat_scale]
    scores = tuple(str(n) for n in range(1, most + 1))
    return replace(CSAT, words=f"how many answered each score from 1 to {most}", keys={"score": scores})


CHOSEN.add(CSAT.slug, csat_metric)


@kpi(
    name="Answers to the satisfaction survey",
    family=Family.VOICE,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=("score",),
)
def csat_responses() -> Shape:
    """Σ answers of the month to “How satisfied are you?”, by score, as entered or uploaded."""
    return entered(Part(SATISFIED, "r.value"))


@kpi(
    name="Satisfied customers (CSAT)",
    family=Family.VOICE,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=2,
    sources="reseller performance metrics",
    elsewhere=(
        ("Delighted, Intercom", "answers of 4 and 5 ÷ all answers, as here"),
        ("Others", "the mean score: see mean satisfaction"),
    ),
)
def csat() -> Shape:
    """Satisfied answers ÷ all of the month: 4 and 5 on a scale from 1 to 5, 8 to 10 on one from 1 to 10, a setting.

    (42 + 32) of 107 are 69.2 %. Choice: 8 is the first score that stands as high on its scale as 4 of 5, three quarters
    of the way up. Answers above the scale, entered while it was longer, are left out; the others keep their score.
    """
    return entered(Part(SATISFIED, ANSWERED.format(_SATISFIED, "r.value")), ANSWERS)


@kpi(
    name="Mean satisfaction",
    family=Family.VOICE,
    unit=Unit.POINTS,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=2,
)
def csat_mean() -> Shape:
    """Σ (score × answers) ÷ answers of the month, on a scale from 1 to 5, or from 1 to 10 by a setting.

    Answers above the scale, entered while it was longer, are left out; the others keep their score.
    """
    return entered(Part(SATISFIED, ANSWERED.format(1, f"{SCORE} * r.value")), ANSWERS)


@kpi(
    name="Answers to the recommendation survey",
    family=Family.VOICE,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=("score",),
)
def nps_responses() -> Shape:
    """Σ answers of the month to “Would you recommend us?”, by score from 0 to 10, each customer's last one."""
    return entered(RECOMMENDERS)


@kpi(
    name="Net promoter score",
    family=Family.VOICE,
    unit=Unit.POINTS,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    sources="reseller performance metrics",
    beside="nps_margin",
)
def nps() -> Shape:
    """Per cent of answers of 9 or 10 less per cent of answers of 0 to 6, from −100 to +100: 30 % less 20 % is +10.

    A 6 is a detractor. Each customer's last answer of the month counts; the margin of error stands beside it.
    """
    sign = f"CASE WHEN {SCORE} >= 9 THEN 100 WHEN {SCORE} <= 6 THEN -100 ELSE 0 END"
    return entered(Part(RECOMMENDED, f"{sign} * r.value"), RECOMMENDERS)


@kpi(
    name="Promoters",
    family=Family.VOICE,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
)
def nps_promoters() -> Shape:
    """Answers of 9 or 10 ÷ all answers of the month to “Would you recommend us?”, from 0 to 10."""
    return entered(Part(RECOMMENDED, f"CASE WHEN {SCORE} >= 9 THEN r.value ELSE 0 END"), RECOMMENDERS)


@kpi(
    name="Detractors",
    family=Family.VOICE,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
)
def nps_detractors() -> Shape:
    """Answers of 0 to 6 ÷ all answers of the month to “Would you recommend us?”, from 0 to 10."""
    return entered(Part(RECOMMENDED, f"CASE WHEN {SCORE} <= 6 THEN r.value ELSE 0 END"), RECOMMENDERS)


def _margin(needed: Sequence[Parts]) -> tuple[Decimal, Decimal, Decimal]:
    """Return 196 √(n (promoters + detractors) − (promoters − detractors)²) over n √n, and the answers n."""
    (promoters, answers), (detractors, _) = needed
    n = answers or Decimal(0)
    spread = n * (promoters + detractors) - (promoters - detractors) ** 2
    return 196 * max(spread, Decimal(0)).sqrt(), n * n.sqrt(), n


@kpi(
    name="Margin of error of the net promoter score",
    family=Family.VOICE,
    unit=Unit.POINTS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
)
def nps_margin() -> Shape:
    """1.96 × √((p + d − (p − d)²) ÷ n) × 100: in 95 of 100 surveys the score of all customers is so near.

    p and d are the shares of promoters and detractors, n the answers of the month.
    """
    return derived("flow", Need("nps_promoters"), Need("nps_detractors"), combine=_margin)
