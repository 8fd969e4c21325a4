"""What the demo's resellers buy and sell: carriers, destinations with prices, tariffs, feature types."""

from dataclasses import dataclass
from decimal import Decimal

D = Decimal


@dataclass(frozen=True)
class CarrierPlan:
    """A fictional supplier."""

    code: str
    name: str
    reference: str
    country: str = "GB"


WHOLESALER, MOBILE, PBX = 0, 1, 2
CARRIERS = (
    CarrierPlan("NORTHGATE", "Northgate Wholesale", "NGW"),
    CarrierPlan("MERIDIAN", "Meridian Mobile and Data", "MMD"),
    CarrierPlan("LANTERN", "Lantern SIP", "LSP"),
)


@dataclass(frozen=True)
class Destination:
    """Where calls go: prefix, charge code, class, retail and wholesale pounds per minute, share of the calls."""

    prefix: str
    code: str
    name: str
    call_class: str
    retail: Decimal
    wholesale: Decimal
    share: int = 0
    sample: str = ""

    @property
    def dialled_stem(self) -> str:
        """Digits that a demo call to it begins with: drama ranges in the UK, unassigned ones abroad."""
        return self.sample or f"{self.prefix}000"


GEO, MOB, NGN, FREE, PREMIUM, ABROAD = (
    "UK geographic",
    "UK mobile",
    "Non-geographic",
    "Freephone",
    "Premium",
    "International",
)

UK = (
    Destination("441", "UKN1", "UK geographic 01", GEO, D("0.0180"), D("0.0040"), 330, "441134960"),
    Destination("442", "UKN2", "UK geographic 02", GEO, D("0.0180"), D("0.0040"), 130, "442079460"),
    Destination("443", "UKN3", "UK-wide 03", GEO, D("0.0180"), D("0.0045"), 50, "443069990"),
    Destination("447", "UKM", "UK mobile", MOB, D("0.0650"), D("0.0140"), 300, "447700900"),
    Destination("4470", "UKPN", "Personal numbers", PREMIUM, D("0.4500"), D("0.2900")),
    Destination("4476", "UKPG", "Pagers", PREMIUM, D("0.5500"), D("0.3400")),
    Destination("4455", "UK55", "Corporate numbers", NGN, D("0.0900"), D("0.0500")),
    Destination("4456", "UK56", "UK VoIP numbers", GEO, D("0.0350"), D("0.0150")),
    Destination("44500", "UK500", "Freephone 0500", FREE, D("0"), D("0")),
    Destination("44800", "UK800", "Freephone 0800", FREE, D("0"), D("0")),
    Destination("44808", "UK808", "Freephone 0808", FREE, D("0"), D("0"), 30, "448081570"),
    Destination("44843", "UK843", "Service numbers 0843", NGN, D("0.1200"), D("0.0700")),
    Destination("44844", "UK844", "Service numbers 0844", NGN, D("0.1200"), D("0.0700"), 14, "448440000"),
    Destination("44845", "UK845", "Service numbers 0845", NGN, D("0.0700"), D("0.0350"), 16, "448450000"),
    Destination("44870", "UK870", "Service numbers 0870", NGN, D("0.0700"), D("0.0350"), 10, "448700000"),
    Destination("44871", "UK871", "Service numbers 0871", NGN, D("0.1700"), D("0.1100"), 4, "448710000"),
    Destination("44872", "UK872", "Service numbers 0872", NGN, D("0.1700"), D("0.1100")),
    Destination("44873", "UK873", "Service numbers 0873", NGN, D("0.1700"), D("0.1100")),
    Destination("4490", "UK90", "Premium 090", PREMIUM, D("1.6000"), D("1.0500"), 2, "449098790"),
    Destination("4491", "UK91", "Premium 091", PREMIUM, D("1.6000"), D("1.0500")),
    Destination("4498", "UK98", "Premium 098", PREMIUM, D("1.9500"), D("1.3000")),
)

#: Country: dialling code, mobile prefixes, pence a minute to fixed and to mobile lines, share of the calls.
COUNTRIES = (
    ("Ireland", "353", "3538", "2.5", "9", 14),
    ("France", "33", "336 337", "2", "8.5", 9),
    ("Germany", "49", "4915 4916 4917", "2", "8.5", 10),
    ("Spain", "34", "346 347", "2.2", "9", 9),
    ("Italy", "39", "393", "2.4", "11", 6),
    ("Netherlands", "31", "316", "2.2", "9.5", 6),
    ("Belgium", "32", "324", "2.8", "12", 3),
    ("Portugal", "351", "3519", "2.6", "10", 4),
    ("Poland", "48", "485 486 487 488", "2.6", "8", 9),
    ("Sweden", "46", "467", "2.1", "8", 3),
    ("Norway", "47", "474 479", "2.4", "9", 2),
    ("Denmark", "45", "", "2.4", "", 2),
    ("Finland", "358", "3584 3585", "6.5", "9", 1),
    ("Switzerland", "41", "417", "3.5", "19", 3),
    ("Austria", "43", "436", "3.2", "10", 2),
    ("Greece", "30", "306", "2.9", "10", 2),
    ("Cyprus", "357", "3579", "4.5", "8", 2),
    ("Malta", "356", "3569", "5.5", "13", 1),
    ("Czechia", "420", "4206 4207", "2.9", "9", 2),
    ("Hungary", "36", "3620 3630 3670", "2.9", "9.5", 2),
    ("Romania", "40", "407", "3.1", "8.5", 5),
    ("Bulgaria", "359", "3598", "4", "17", 1),
    ("Turkey", "90", "905", "5.5", "17", 2),
    ("United States and Canada", "1", "", "1.8", "", 16),
    ("Jamaica", "1876", "", "19", "", 1),
    ("Mexico", "52", "", "3.5", "", 1),
    ("Brazil", "55", "", "4", "", 1),
    ("Australia", "61", "614", "2.6", "9", 6),
    ("New Zealand", "64", "642", "2.9", "12", 2),
    ("India", "91", "917 918 919", "4.2", "4.6", 8),
    ("Bangladesh", "880", "8801", "6", "6.5", 2),
    ("China", "86", "861", "3", "3.2", 4),
    ("Hong Kong", "852", "", "3.2", "", 2),
    ("Singapore", "65", "", "3", "", 2),
    ("Japan", "81", "8170 8180 8190", "4.5", "16", 1),
    ("United Arab Emirates", "971", "9715", "19", "23", 3),
    ("Saudi Arabia", "966", "9665", "13", "19", 1),
    ("Israel", "972", "9725", "3", "9", 1),
    ("South Africa", "27", "276 277 278", "6.5", "14", 3),
    ("Nigeria", "234", "23470 23480", "12", "15", 3),
    ("Kenya", "254", "2547", "14", "19", 1),
    ("Egypt", "20", "201", "12", "14", 1),
)

#: Planted: dearer to buy than to sell; wholesale rises alone; missing in every retail tariff.
BELOW_COST = Destination("53", "CUB", "Cuba", ABROAD, D("0.6200"), D("0.8100"))
STALE = Destination("923", "PAKM", "Pakistan mobile", ABROAD, D("0.1500"), D("0.0700"))
STALE_WHOLESALE = D("0.1150")
STALE_FIXED = Destination("92", "PAK", "Pakistan", ABROAD, D("0.1100"), D("0.0550"), 2)
UNPRICED = Destination("678", "VUT", "Vanuatu", ABROAD, D("0"), D("0.7400"))

#: Destinations whose wholesale price rises with the retail price on the same day: a deck change that was followed.
FOLLOWED = ("Turkey", "Switzerland mobile", "United Arab Emirates", "Nigeria mobile")
FOLLOWED_FACTOR = D("1.15")


def _abroad() -> tuple[Destination, ...]:
    rows = []
    for index, (name, code, mobiles, fixed, mobile, share) in enumerate(COUNTRIES):
        fixed_price = D(fixed) / 100
        stem = "120255501" if code == "1" else "187655501" if code == "1876" else ""
        rows.append(
            Destination(
                code,
                f"I{index:02d}",
                name,
                ABROAD,
                fixed_price,
                _bought(fixed_price),
                share if not mobiles else share // 2 or 1,
                stem,
            )
        )
        for position, prefix in enumerate(mobiles.split()):
            price = D(mobile) / 100
            rows.append(
                Destination(
                    prefix,
                    f"I{index:02d}M{position}",
                    f"{name} mobile",
                    ABROAD,
                    price,
                    _bought(price),
                    share // 2 if not position else 0,
                )
            )
    return tuple(rows)


def _bought(price: Decimal) -> Decimal:
    return (price * D("0.56")).quantize(D("0.0001"))


DESTINATIONS = (*UK, *_abroad(), STALE_FIXED, STALE, BELOW_COST)
#: What each carrier adds to the wholesale price.
CARRIER_FACTOR = (D("1"), D("1.05"), D("0.98"))


def bought_at(destination: Destination, carrier: int) -> Decimal:
    """Return what a carrier asks for a minute."""
    return (destination.wholesale * CARRIER_FACTOR[carrier]).quantize(D("0.0001"))


SMS_RETAIL, SMS_WHOLESALE = D("0.0400"), D("0.0120")
DATA_RETAIL, DATA_WHOLESALE = D("4"), D("0.000800")  # a gigabyte, a megabyte


@dataclass(frozen=True)
class FeaturePlan:
    """A catalogue entry: list price and cost per interval when the demo begins."""

    code: str
    name: str
    kind: str
    price: Decimal
    cost: Decimal
    carrier: int = WHOLESALER
    interval: str = "month"
    per_number: bool = False
    timing: str = "advance"
    activation: Decimal = D(0)
    ladder: str = ""
    level: int | None = None
    term: int = 0


FEATURES = (
    FeaturePlan("LINE", "Line rental", "line", D("16.50"), D("10.20"), per_number=True, term=12),
    FeaturePlan("DDI", "Number rental", "line", D("1.50"), D("0.35"), per_number=True),
    FeaturePlan("NGN", "Non-geographic number", "line", D("6.00"), D("2.10"), per_number=True),
    FeaturePlan("FREE", "Freephone number", "line", D("9.00"), D("3.40"), per_number=True),
    FeaturePlan("SIPCH", "SIP channels", "line", D("7.50"), D("3.90"), PBX, per_number=True, term=12),
    FeaturePlan(
        "SIM", "Mobile SIM", "line", D("9.00"), D("5.40"), MOBILE, per_number=True, activation=D("5")
    ),
    FeaturePlan("BB80", "Broadband 80", "line", D("32.00"), D("22.50"), MOBILE, per_number=True, term=12),
    FeaturePlan("BB330", "Full fibre 330", "line", D("48.00"), D("33.00"), MOBILE, per_number=True, term=24),
    FeaturePlan("REC", "Call recording", "feature", D("3.50"), D("1.10"), PBX, timing="arrears"),
    FeaturePlan("VM", "Voicemail", "feature", D("1.20"), D("0.20"), PBX),
    FeaturePlan("HUNT", "Hunt group", "feature", D("4.00"), D("0.90"), PBX),
    FeaturePlan("IVR", "Auto attendant", "feature", D("6.50"), D("1.60"), PBX),
    FeaturePlan("FAX", "Fax to e-mail", "feature", D("3.00"), D("1.20"), PBX),
    FeaturePlan("CRM", "CRM connector", "feature", D("5.50"), D("2.20"), PBX),
    FeaturePlan("PLAN1", "Call plan Entry", "package", D("4.00"), D(0), ladder="Call plan", level=1),
    FeaturePlan("PLAN2", "Call plan Standard", "package", D("8.00"), D(0), ladder="Call plan", level=2),
    FeaturePlan("PLAN3", "Call plan Premium", "package", D("16.00"), D(0), ladder="Call plan", level=3),
    FeaturePlan("MOB", "Mobile plan", "package", D("6.00"), D("3.00"), MOBILE, activation=D("2.50")),
    FeaturePlan("SET", "IP handset rental", "hardware", D("4.50"), D("2.40"), PBX),
    FeaturePlan("CARE", "Priority support", "feature", D("45.00"), D("12.00"), interval="quarter"),
    FeaturePlan(
        "VISIT", "Engineer visit", "feature", D("95.00"), D("60.00"), interval="once", timing="arrears"
    ),
)
BY_CODE = {plan.code: plan for plan in FEATURES}

#: Allowances: feature type, unit, amount (seconds, messages, MB), prefixes, shared, priority.
BUNDLES = (
    ("PLAN1", "seconds", 40 * 60, "441 442 443", 0),
    ("PLAN2", "seconds", 100 * 60, "441 442 443 447", 0),
    ("PLAN3", "seconds", 250 * 60, "441 442 443 447", 0),
    ("MOB", "seconds", 6 * 60, "441 442 443 447", 1),
    ("MOB", "sms", 3, "", 0),
    ("MOB", "data", 250, "", 0),
)
#: What is special about the minutes of a call plan: the small one rolls over, the large one is capped per number.
ALLOWANCE_TERMS = {"PLAN1": {"rollover_months": 1}, "PLAN3": {"member_cap": 120 * 60}}

#: List prices rise each April by this factor, costs by a little less.
PRICE_RISE, COST_RISE = D("1.04"), D("1.03")
#: Planted: the supplier's price of one feature rose, ours did not.
STALE_FEATURE, STALE_FEATURE_COST = "FAX", D("1.95")


def prices_at_rises(plan: FeaturePlan, rises: int) -> tuple[Decimal, Decimal]:
    """Return list price and cost after so many yearly rises, to the penny."""
    price, cost = plan.price, plan.cost
    for _ in range(rises):
        price = (price * PRICE_RISE).quantize(D("0.01"))
        cost = (cost * COST_RISE).quantize(D("0.01"))
    return price, cost
