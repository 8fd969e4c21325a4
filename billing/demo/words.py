"""Fictional names for the demo: companies, people, places, words of leaving customers."""

from random import Random


def _words(text: str) -> list[str]:
    return text.split()


FRONTS = _words(
    "Alder Ashdown Barrow Beckett Birchwood Blackthorn Bramley Brindle Calder Carlton Castlegate Chantry Copperfield "
    "Cranmore Daleside Drayton Eastgate Ellery Fairburn Fenwick Foxglove Garrick Glenholme Greystone Hallam Harcourt "
    "Hartfield Hawksmoor Heron Hollins Ivybridge Kestrel Kingsmead Lakeland Langley Larkspur Linden Lockwood Marlowe "
    "Meadowbank Merrion Millbrook Newhaven Northcote Oakfield Orchard Parkside Pemberton Quayside Redwood Riverside "
    "Rosewood Rowan Sandford Silverdale Southwell Stanmore Sycamore Tallow Thornbury Underhill Valebrook Wainwright "
    "Westbury Whitcombe Willow Winslow Woodgate Wychwood Yarrow"
)

TRADES = {
    "Professional services": ("Accountants", "Solicitors", "Surveyors", "Wealth", "Architects", "Insurance"),
    "Retail": ("Motors", "Furniture", "Opticians", "Garden Centre", "Books", "Tyres"),
    "Hospitality": ("Hotel", "Inns", "Catering", "Holiday Park", "Brewery"),
    "Healthcare": ("Dental Care", "Veterinary", "Care Homes", "Pharmacy", "Physio"),
    "Construction": ("Builders", "Roofing", "Plumbing", "Electrical", "Scaffolding"),
    "Manufacturing": ("Engineering", "Packaging", "Plastics", "Foods", "Tooling"),
    "Public and charity": ("Academy Trust", "Housing", "Hospice", "Parish Council", "Foundation"),
}

SEGMENT_WEIGHTS = (24, 18, 12, 14, 15, 11, 6)

TOWNS = (
    ("Leeds", "44113496", "LS1"),
    ("Sheffield", "44114496", "S1"),
    ("Nottingham", "44115496", "NG1"),
    ("Leicester", "44116496", "LE1"),
    ("Bristol", "44117496", "BS1"),
    ("Reading", "44118496", "RG1"),
    ("Birmingham", "44121496", "B1"),
    ("Edinburgh", "44131496", "EH1"),
    ("Glasgow", "44141496", "G1"),
    ("Liverpool", "44151496", "L1"),
    ("Manchester", "44161496", "M1"),
    ("London", "44207946", "EC1A"),
    ("Newcastle upon Tyne", "44191498", "NE1"),
    ("Cardiff", "44292018", "CF10"),
)

STREETS = (
    "High Street",
    "Station Road",
    "Mill Lane",
    "Church Street",
    "Victoria Road",
    "Market Place",
    "Park Row",
)
SITES = ("Head office", "Warehouse", "Shop", "Branch", "Reception")

DEALERS = (
    ("BRIGHT", "Brightwater Communications", "sales@brightwater.example"),
    ("PENNINE", "Pennine Office Supplies", "telecoms@pennine.example"),
    ("COBALT", "Cobalt IT Support", "partners@cobalt.example"),
    ("TIDE", "Tideway Consulting", "hello@tideway.example"),
    ("ARCH", "Archer & Lowe Telecoms", "orders@archerlowe.example"),
)

CAMPAIGNS = ("Web search", "Spring mailing", "Trade fair", "Referral scheme", "Local radio")

COMPETITORS = ("Northern Dial", "Bluebell Networks", "Citywide Voice")

PARTING_WORDS = {
    "price": ("Was quoted less for the same lines", "Too dear after the April rise"),
    "service": ("Faults took too long to mend", "Could not reach support on a Monday"),
    "competitor": ("Taken over with the broadband contract", "Offered new handsets for free"),
    "port_out": ("All numbers ported away",),
    "ceased_trading": ("Closed the business", "In liquidation"),
    "non_payment": ("Three Direct Debits unpaid",),
    "moved": ("Moved into serviced offices with telephones included",),
    "other": ("No reason given",),
}

FIRST_NAMES = _words(
    "Amir Beth Callum Dilys Ewan Farah Gethin Hannah Imran Joan Kofi Leah Mina Nadia Owen Priya Rhys Sara"
)
LAST_NAMES = _words(
    "Barlow Chaudhry Dunne Evans Frost Gill Hughes Iqbal Jarvis Khan Lowe Mistry Norton Okoro Price Reid"
)


def company(random: Random, segment: str) -> tuple[str, str]:
    """Return a company's name and its legal class."""
    front, trade = random.choice(FRONTS), random.choice(TRADES[segment])
    if random.random() < 0.25:
        front = f"{front} & {random.choice(LAST_NAMES)}"
    if segment == "Public and charity":
        return f"{front} {trade}", "Public or charity"
    legal = random.choices(("Limited company", "Sole trader", "Partnership"), (75, 15, 10))[0]
    return f"{front} {trade}{' Ltd' if legal == 'Limited company' else ''}", legal


def person(random: Random) -> str:
    """Return a person's name."""
    return f"{random.choice(FIRST_NAMES)} {random.choice(LAST_NAMES)}"
