"""Prices that were not looked at since what they are made from became dearer."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, kpi, stock
from kpis.sources import BOOK, Source
from resellerkpi.core.access import Capability

MARGIN = Capability.VIEW_MARGIN
#: Per carrier and destination: seconds of three months, and how much dearer a minute is than when it was last priced.
_RATES = """(WITH heard AS (SELECT d.month, d.day, x.carrier_id, x.destination, sum(x.seconds) AS seconds
    FROM {last 3} d JOIN trafficfact x ON x.month = d.at
    WHERE x.service = 'voice' AND x.destination <> '' AND x.state IN ('rated', 'zero')
    GROUP BY 1, 2, 3, 4 HAVING sum(x.seconds) > 0),
bought AS (SELECT t.carrier_id, t.currency, r.destination, r.valid_from, r.valid_to, r.price - lag(r.price) OVER (
        PARTITION BY r.tariff_id, r.key_kind, r.key, r.band ORDER BY r.valid_from) AS step
    FROM billing_tariffrate r JOIN billing_tariff t ON t.id = r.tariff_id AND t.reseller_id = %(reseller)s
        AND t.kind = 'wholesale' JOIN (SELECT DISTINCT carrier_id, destination FROM heard) n
        ON n.carrier_id = t.carrier_id AND n.destination = r.destination
    WHERE r.reseller_id = %(reseller)s AND r.service = 'voice'),
sold AS (SELECT r.destination, r.valid_from, r.valid_to FROM billing_tariffrate r
    JOIN billing_tariff t ON t.id = r.tariff_id AND t.reseller_id = %(reseller)s AND t.kind = 'retail'
    JOIN (SELECT DISTINCT destination FROM bought WHERE step > 0) n ON n.destination = r.destination
    WHERE r.reseller_id = %(reseller)s AND r.service = 'voice'),
priced AS (SELECT d.day, s.destination, max(s.valid_from) AS since FROM days d JOIN sold s ON s.valid_from <= d.day
    AND (s.valid_to IS NULL OR s.valid_to > d.day) WHERE d.asked GROUP BY 1, 2),
risen AS (SELECT h.month, h.day, h.carrier_id, h.destination, b.currency, h.seconds,
    sum(b.step) FILTER (WHERE b.valid_from > p.since AND b.valid_from <= h.day) AS rise,
    count(*) FILTER (WHERE b.valid_from <= h.day AND (b.valid_to IS NULL OR b.valid_to > h.day)) AS prices
    FROM heard h JOIN priced p ON p.day = h.day AND p.destination = h.destination
    JOIN bought b ON b.carrier_id = h.carrier_id AND b.destination = h.destination GROUP BY 1, 2, 3, 4, 5, 6)
SELECT x.month, x.day, x.destination, x.currency, v.code AS carrier,
    round(x.rise / x.prices * x.seconds / 180, 6) AS loss FROM risen x
    JOIN billing_carrier v ON v.id = x.carrier_id AND v.reseller_id = %(reseller)s
    WHERE x.rise > 0 AND x.prices > 0)"""
_OWN = {"carrier": "r.carrier", "destination": "r.destination"}
STALE_RATES = Source(
    "stale_rates", _RATES, ("trafficfact",), "r.currency", _OWN, of_customers=False, window=2
)
STALE_RATE_COUNT = Source(
    "stale_rate_count", _RATES, ("trafficfact",), "", _OWN, of_customers=False, window=2
)
#: What customers have of feature types that cost more than when their list price last changed.
_FEATURES = """(WITH list AS (SELECT feature_type_id, valid_from, valid_to, cost,
        price IS DISTINCT FROM lag(price) OVER (PARTITION BY feature_type_id ORDER BY valid_from) AS is_change
    FROM billing_featureprice WHERE reseller_id = %(reseller)s),
kept AS (SELECT *, max(valid_from) FILTER (WHERE is_change) OVER (
        PARTITION BY feature_type_id ORDER BY valid_from) AS since FROM list)
SELECT x.month, x.day, x.customer_id, x.currency, t.code AS feature, x.quantity,
    round((n.cost - o.cost) * x.quantity / i.months, 6) AS loss FROM featurefact x
    JOIN billing_featuretype t ON t.id = x.feature_type_id AND t.reseller_id = %(reseller)s
    JOIN (VALUES ('month', 1), ('quarter', 3), ('year', 12)) i (interval, months) ON i.interval = t.interval
    JOIN kept n ON n.feature_type_id = x.feature_type_id AND n.valid_from <= x.day
        AND (n.valid_to IS NULL OR n.valid_to > x.day)
    JOIN kept o ON o.feature_type_id = n.feature_type_id AND o.valid_from = n.since
    WHERE n.cost > o.cost AND x.quantity > 0)"""
STALE_FEATURES = Source("stale_features", _FEATURES, ("featurefact",), "r.currency", {"feature": "r.feature"})
STALE_FEATURE_COUNT = Source("stale_feature_count", _FEATURES, ("featurefact",), "", {"feature": "r.feature"})


@kpi(
    name="Destinations dearer since they were priced",
    family=Family.MARGIN,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=1,
    by=("carrier", "destination"),
    needs=MARGIN,
    sources="SAFE",
)
def stale_tariffs() -> Shape:
    """Destinations called in the last three months, per carrier, whose buying price rose since their selling price last
    changed.

    The selling price last changed on the latest start of a retail rate in force at the close that names the
    destination; the rise is that of the carrier's price lists since then, as a mean over the destination's prices.
    Carriers and customers have to be charged by lists that name destinations alike. Voice only.
    """
    return stock(Part(STALE_RATE_COUNT, "1"))


@kpi(
    name="Lost a month on destinations dearer since they were priced",
    family=Family.MARGIN,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=1,
    by=("carrier", "destination"),
    needs=MARGIN,
    estimate=True,
    sources="SAFE",
)
def stale_tariffs_loss() -> Shape:
    """Σ over those destinations of the rise of the price of a minute × minutes of the last three months ÷ 3.

    In the currency of the carrier's price list. The calls may still bring more than they cost: it is what their margin
    lost, not a loss on each call.
    """
    return stock(Part(STALE_RATES, "r.loss"))


@kpi(
    name="Features dearer since they were priced",
    family=Family.MARGIN,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=1,
    by=("feature", *BOOK),
    needs=MARGIN,
    sources="SAFE",
)
def stale_features() -> Shape:
    """Quantity at the close of recurring features of every kind whose catalogue cost is above the one of the day their
    list price last changed.
    """
    return stock(Part(STALE_FEATURE_COUNT, "r.quantity"))


@kpi(
    name="Lost a month on features dearer since they were priced",
    family=Family.MARGIN,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=1,
    by=("feature", *BOOK),
    needs=MARGIN,
    estimate=True,
    sources="SAFE",
)
def stale_features_loss() -> Shape:
    """Σ of quantity × rise of the catalogue cost since the list price last changed, per month, of those features.

    A customer's own price or cost of a feature is not looked at, so it is an estimate.
    """
    return stock(Part(STALE_FEATURES, "r.loss"))
