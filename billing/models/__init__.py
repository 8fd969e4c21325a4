"""The domain model, by the names of the field."""

from billing.models.catalogue import Bundle, FeaturePrice, FeatureType, Tariff, TariffRate, TimeBand
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
from billing.models.usage import Call, CdrFile, CdrReject, ChangedDay, RatingBatch, SourceMapping

__all__ = [
    "Allocation",
    "BillingRun",
    "Bundle",
    "Call",
    "Carrier",
    "CdrFile",
    "CdrReject",
    "ChangedDay",
    "Charge",
    "ChargeKind",
    "Contract",
    "CreditNote",
    "CreditNoteLine",
    "Customer",
    "CustomerEvent",
    "CustomerNote",
    "Dealer",
    "ExchangeRate",
    "Feature",
    "FeaturePrice",
    "FeatureType",
    "Invoice",
    "InvoiceLine",
    "InvoiceVat",
    "LedgerEntry",
    "Mandate",
    "NotProduced",
    "Number",
    "NumberAssignment",
    "NumberIdentity",
    "NumberSequence",
    "Observation",
    "Payment",
    "PaymentAttempt",
    "RatingBatch",
    "SourceMapping",
    "Supply",
    "Tariff",
    "TariffAssignment",
    "TariffRate",
    "TimeBand",
]
