"""Roles and capabilities: the one place that says who may see and do what."""

from django.db.models import TextChoices


class Role(TextChoices):
    """What a person is to a reseller."""

    OPERATOR = "operator", "Platform operator"
    OWNER = "owner", "Owner"
    FINANCE = "finance", "Billing and finance"
    SUPPORT = "support", "Support"
    DEALER = "dealer", "Dealer"
    VIEWER = "viewer", "Viewer"
    CUSTOMER = "customer", "Customer (portal)"


class Capability(TextChoices):
    """One thing a role may do or one kind of column it may see."""

    SIGNED_IN = "signed_in", "Use the house at all"
    VIEW_BOOK = "view_book", "See customers, numbers and features"
    EDIT_BOOK = "edit_book", "Change customers, numbers, features and tariffs"
    VIEW_USAGE = "view_usage", "See calls and call files"
    VIEW_MONEY = "view_money", "See retail prices, invoices and payments"
    VIEW_WHOLESALE = "view_wholesale", "See wholesale cost"
    VIEW_MARGIN = "view_margin", "See margin and markup"
    VIEW_PEOPLE = "view_people", "See personal details"
    VIEW_KPIS = "view_kpis", "See KPIs"
    VIEW_REVIEW = "view_review", "See the monthly review"
    RUN_REPORTS = "run_reports", "Run and export reports"
    SHARE = "share", "Make links that outsiders can open"
    IMPORT = "import", "Load call files and spreadsheets"
    BILL = "bill", "Run and confirm bills"
    COLLECT = "collect", "Enter payments and chase debt"
    MANAGE = "manage", "Manage people, keys and settings"
    OPERATE = "operate", "Enter any reseller"


_C = Capability
_VIEW = {_C.SIGNED_IN, _C.VIEW_BOOK, _C.VIEW_USAGE, _C.VIEW_KPIS, _C.RUN_REPORTS}
_MONEY = {_C.VIEW_MONEY, _C.VIEW_WHOLESALE, _C.VIEW_MARGIN, _C.VIEW_PEOPLE}
_WORK = {_C.EDIT_BOOK, _C.IMPORT, _C.BILL, _C.COLLECT, _C.SHARE}

CAPABILITIES: dict[Role, frozenset[Capability]] = {
    Role.OPERATOR: frozenset(_C),
    Role.OWNER: frozenset(_VIEW | _MONEY | _WORK | {_C.VIEW_REVIEW, _C.MANAGE}),
    Role.FINANCE: frozenset(_VIEW | _MONEY | _WORK | {_C.VIEW_REVIEW}),
    Role.SUPPORT: frozenset({_C.SIGNED_IN, _C.VIEW_BOOK, _C.EDIT_BOOK, _C.VIEW_USAGE, _C.VIEW_PEOPLE}),
    Role.DEALER: frozenset(
        {_C.SIGNED_IN, _C.VIEW_BOOK, _C.VIEW_USAGE, _C.VIEW_MONEY, _C.VIEW_KPIS, _C.RUN_REPORTS}
    ),
    Role.VIEWER: frozenset(
        {_C.SIGNED_IN, _C.VIEW_BOOK, _C.VIEW_MONEY, _C.VIEW_KPIS, _C.VIEW_REVIEW, _C.RUN_REPORTS}
    ),
    Role.CUSTOMER: frozenset({_C.SIGNED_IN}),
}

#: What an outsider with a share link may see unless the sharer says otherwise.
OUTSIDER: frozenset[Capability] = frozenset({_C.SIGNED_IN, _C.VIEW_BOOK, _C.VIEW_MONEY})


def capabilities(role: str | None) -> frozenset[Capability]:
    """Return what a role may do; an unknown or absent role may do nothing."""
    return CAPABILITIES[Role(role)] if role in Role.values else frozenset()
