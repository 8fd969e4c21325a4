"""The domain model, by the names of the field."""

from billing.models.allowances import AllowanceUse, SecondDraw
from billing.models.catalogue import (
    Bundle,
    FeatureImplication,
    FeaturePrice,
    FeatureType,
    PriceUplift,
    Tariff,
    TariffMarkup,
    TariffRate,
    TimeBand,
)
from billing.models.findings import CheckSetting, Finding, FindingEvent
from billing.models.invoicing import (
    BillingRun,
    Charge,
    ChargeKind,
    CreditNote,
    CreditNoteLine,
    Invoice,
    InvoiceLine,
    InvoiceVat,
    NotProduced,
    NumberSequence,
)
from billing.models.matching import MatchedMonth, ServiceMatch
from billing.models.parties import Carrier, Customer, CustomerEvent, CustomerNote, Dealer
from billing.models.receivables import Allocation, LedgerEntry, Mandate, Payment, PaymentAttempt
from billing.models.reference import ExchangeRate, Observation
from billing.models.services import (
    Contract,
    Feature,
    Number,
    NumberAssignment,
    NumberIdentity,
    Supply,
    TariffAssignment,
)
from billing.models.supplier import CarrierCharge, CarrierInvoice
from billing.models.usage import Call, CdrFile, CdrReject, ChangedDay, RatingBatch, SourceMapping
from billing.models.watch import FraudAlert, SpendLimit, UsageHour, WatchedDay, Watcher

__all__ = [
    "Allocation",
    "AllowanceUse",
    "BillingRun",
    "Bundle",
    "Call",
    "Carrier",
    "CarrierCharge",
    "CarrierInvoice",
    "CdrFile",
    "CdrReject",
    "ChangedDay",
    "Charge",
    "ChargeKind",
    "CheckSetting",
    "Contract",
    "CreditNote",
    "CreditNoteLine",
    "Customer",
    "CustomerEvent",
    "CustomerNote",
    "Dealer",
    "ExchangeRate",
    "Feature",
    "FeatureImplication",
    "FeaturePrice",
    "FeatureType",
    "Finding",
    "FindingEvent",
    "FraudAlert",
    "Invoice",
    "InvoiceLine",
    "InvoiceVat",
    "LedgerEntry",
    "Mandate",
    "MatchedMonth",
    "NotProduced",
    "Number",
    "NumberAssignment",
    "NumberIdentity",
    "NumberSequence",
    "Observation",
    "Payment",
    "PaymentAttempt",
    "PriceUplift",
    "RatingBatch",
    "SecondDraw",
    "ServiceMatch",
    "SourceMapping",
    "SpendLimit",
    "Supply",
    "Tariff",
    "TariffAssignment",
    "TariffMarkup",
    "TariffRate",
    "TimeBand",
    "UsageHour",
    "WatchedDay",
    "Watcher",
]
