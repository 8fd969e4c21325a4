"""Models of the KPIs: month-end facts, snapshots, closed months, settings."""

from kpis.models.book import Account, CustomerFact, Fact, FeatureFact, MovementFact, NumberFact
from kpis.models.campaigns import Campaign
from kpis.models.kept import Change, Close, Fill, Frozen, Kept, Snapshot
from kpis.models.money import CallingFact, DynamicsFact, LineFact, MoneyFact, TrafficFact, UsageFact
from kpis.models.settings import KpiSettings
from kpis.models.stay import StayAnswer

__all__ = [
    "Account",
    "CallingFact",
    "Campaign",
    "Change",
    "Close",
    "CustomerFact",
    "DynamicsFact",
    "Fact",
    "FeatureFact",
    "Fill",
    "Frozen",
    "Kept",
    "KpiSettings",
    "LineFact",
    "MoneyFact",
    "MovementFact",
    "NumberFact",
    "Snapshot",
    "StayAnswer",
    "TrafficFact",
    "UsageFact",
]
