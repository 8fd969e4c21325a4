"""What is left of revenue once suppliers are paid, and what is sold under its cost."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, flow, kpi, stock
from kpis.sources import BOOK, FEATURE_MONEY, FEATURES, TRAFFIC, USAGE, USAGE_COUNT, Source
from resellerkpi.core.access import Capability

MARGIN = Capability.VIEW_MARGIN
#: Rentals a feature's own cost already stands for: of that feature, or of the line on the same number.
_CARRIED = " ".join(
    [
        "EXISTS (SELECT 1 FROM billing_feature f JOIN billing_featuretype t ON t.reseller_id = %(reseller)s",
        "AND t.id = f.feature_type_id AND t.interval <> 'once' WHERE f.reseller_id = %(reseller)s",
        "AND NOT f.not_charged AND f.start_date < g.service_end",
        "AND (f.end_date IS NULL OR f.end_date > g.service_start)",
        "AND (f.id = g.feature_id OR g.feature_id IS NULL AND f.number_id = g.number_id AND t.kind = 'line')",
        "AND (f.cost > 0 OR f.cost IS NULL AND EXISTS (SELECT 1 FROM billing_featureprice p",
        "WHERE p.reseller_id = %(reseller)s AND p.feature_type_id = t.id AND p.cost > 0",
        "AND p.valid_from < g.service_end AND (p.valid_to IS NULL OR p.valid_to > g.service_start))))",
    ]
)
#: A customer's charges of carriers that no line, call or feature carries, by the days they are for.
_EXTRA = " ".join(
    [
        "SELECT d.month, d.day, g.customer_id, b.currency, 'supply', '', 0,",
        "round(g.amount * (least(g.service_end, d.day + 1) - greatest(g.service_start, d.month))",
        "/ (g.service_end - g.service_start), 6) FROM days d JOIN billing_carriercharge g",
        "ON g.reseller_id = %(reseller)s AND g.state = 'allocated' AND g.customer_id IS NOT NULL",
        "AND g.kind <> 'usage' AND g.charge_id IS NULL AND g.service_start <= d.day AND g.service_end > d.month",
        "{mine g.customer_id} JOIN billing_carrierinvoice b ON b.reseller_id = %(reseller)s AND b.id = g.invoice_id",
        "WHERE d.asked AND NOT (g.kind IN ('rental', 'credit') AND",
        _CARRIED,
        ")",
    ]
)
#: What was invoiced, what it cost, and what suppliers charged beside it.
EARNED = Source(
    "earned",
    " ".join(
        [
            "(SELECT month, day, customer_id, currency, kind, call_class, net, cost FROM linefact UNION ALL",
            _EXTRA,
            ")",
        ]
    ),
    ("linefact",),
    "r.currency",
    {"kind": "r.kind", "call_class": "r.call_class"},
)
#: Invoice lines and what credit notes take back of them, by what was sold: a catalogue entry, a class of calls, a kind.
SOLD = Source(
    "sold",
    "(SELECT d.month, d.day, i.customer_id, i.currency, coalesce(t.code, nullif(l.call_class, ''), l.kind) AS sold,"
    " l.net, l.cost FROM days d JOIN billing_invoice i ON i.reseller_id = %(reseller)s AND i.state <> 'draft'"
    " AND {i.invoice_date} = d.month AND i.invoice_date <= d.day {mine i.customer_id}"
    " JOIN billing_invoiceline l ON l.reseller_id = %(reseller)s AND l.invoice_id = i.id"
    " LEFT JOIN billing_featuretype t ON t.id = l.feature_type_id AND t.reseller_id = %(reseller)s WHERE d.asked"
    " UNION ALL SELECT d.month, d.day, n.customer_id, n.currency, coalesce(t.code, nullif(l.call_class, ''), l.kind,"
    " 'credit_note'), -coalesce(k.net, n.net), 0 FROM days d JOIN billing_creditnote n"
    " ON n.reseller_id = %(reseller)s AND {n.date} = d.month AND n.date <= d.day {mine n.customer_id}"
    " LEFT JOIN billing_creditnoteline k ON k.reseller_id = %(reseller)s AND k.credit_note_id = n.id"
    " LEFT JOIN billing_invoiceline l ON l.reseller_id = %(reseller)s AND l.id = k.invoice_line_id"
    " LEFT JOIN billing_featuretype t ON t.id = l.feature_type_id AND t.reseller_id = %(reseller)s WHERE d.asked)",
    (),
    "r.currency",
    {"sold": "r.sold"},
)
LOSING = "CASE WHEN r.cost > r.mrr THEN {} ELSE 0 END"
PRICED = "CASE WHEN r.state IN ('rated', 'zero') THEN {} ELSE 0 END"


@kpi(
    name="Gross profit",
    family=Family.MARGIN,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=(*BOOK, "kind", "call_class"),
    needs=MARGIN,
    sources="SAFE",
)
def gross_profit() -> Shape:
    """Net of the month's invoice lines less credit notes − what they cost − suppliers' charges that stand for nothing
    else.

    Lines carry the cost of their calls, features and resold goods; a supplier's allocated rental or one-off charge is
    added by the days it is for, unless it was passed on or a feature's own cost stands for it. What is nobody's is not
    spread: see supplier cost nobody has.
    """
    return flow(Part(EARNED, "r.net - r.cost"))


@kpi(
    name="Gross margin",
    family=Family.MARGIN,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=(*BOOK, "kind", "call_class"),
    small_base=False,
    needs=MARGIN,
    sources="SAFE",
    elsewhere=(("46labs", "sum of profit ÷ sum of revenue at every level, as here"),),
)
def gross_margin_customer() -> Shape:
    """Gross profit ÷ net of the month's invoice lines less credit notes; by kind of line it is the margin of products.

    Sums are divided, margins never averaged. No revenue but cost: n/a, the loss is in the gross profit.
    """
    return flow(Part(EARNED, "r.net - r.cost"), Part(EARNED, "r.net"))


@kpi(
    name="Gross margin of products",
    family=Family.MARGIN,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=("sold",),
    small_base=False,
    needs=MARGIN,
    sources="SAFE",
)
def gross_margin_product() -> Shape:
    """(Net − cost) ÷ net of the month's invoice lines less what credit notes took back of them, by what was sold.

    What was sold is the entry of the catalogue (line, feature, package, hardware), else the class of the calls, else
    the kind of the line. What suppliers charge beside it is in the gross margin of customers only.
    """
    return flow(Part(SOLD, "r.net - r.cost"), Part(SOLD, "r.net"))


@kpi(
    name="Gross margin of calls",
    family=Family.MARGIN,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=("carrier", "service", "call_class", *BOOK),
    small_base=False,
    needs=MARGIN,
    sources="PortaOne",
)
def gross_margin_supplier() -> Shape:
    """(Retail − cost) ÷ retail of the calls of the month, by the supplier that carried them.

    The cost is the supplier's, else the one its price list says. Retail is what calls are priced, after allowances.
    """
    return flow(Part(USAGE, "r.retail - r.cost"), Part(USAGE, "r.retail"))


@kpi(
    name="Gross margin of destinations",
    family=Family.MARGIN,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=("destination", "carrier", "service"),
    small_base=False,
    needs=MARGIN,
    sources="PortaOne",
)
def gross_margin_destination() -> Shape:
    """(Retail − cost) ÷ retail of the priced calls of the month, by destination."""
    return flow(Part(TRAFFIC, PRICED.format("r.retail - r.cost")), Part(TRAFFIC, PRICED.format("r.retail")))


@kpi(
    name="Calls sold under their cost",
    family=Family.MARGIN,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.SUM,
    version=1,
    by=("carrier", "service", "call_class", *BOOK),
    needs=MARGIN,
)
def negative_margin_lines() -> Shape:
    """Number of calls of the month whose cost is above their price, both in one currency."""
    return flow(Part(USAGE_COUNT, "r.losing"))


@kpi(
    name="Lost on calls sold under their cost",
    family=Family.MARGIN,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.SUM,
    version=1,
    by=("carrier", "service", "call_class", *BOOK),
    needs=MARGIN,
)
def negative_margin_loss() -> Shape:
    """Σ (cost − price) of the calls of the month whose cost is above their price."""
    return flow(Part(USAGE, "r.lost"))


@kpi(
    name="Services sold under their cost",
    family=Family.MARGIN,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=1,
    by=("feature", "product", *BOOK),
    needs=MARGIN,
)
def negative_margin_services() -> Shape:
    """Quantity at the close of the lines, features and packages that cost more than they bring.

    A customer's features of one kind are looked at together: their MRR against their monthly cost.
    """
    return stock(Part(FEATURES, LOSING.format("r.quantity")))


@kpi(
    name="Lost a month on services sold under their cost",
    family=Family.MARGIN,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=1,
    by=("feature", "product", *BOOK),
    needs=MARGIN,
)
def negative_margin_services_loss() -> Shape:
    """Σ (monthly cost − MRR) at the close of a customer's lines, features and packages that lose."""
    return stock(Part(FEATURE_MONEY, LOSING.format("r.cost - r.mrr")))
