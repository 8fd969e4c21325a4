"""How a reseller counts, as parameters of every query; the defaults hold where nothing was chosen."""

from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from typing import Any

from kpis.models import KpiSettings
from resellerkpi.core.models import Reseller


@dataclass(frozen=True)
class Options:
    """A reseller's KPI settings (see the model KpiSettings), its time zone and its own currency."""

    churn_base: str = "start"
    churn_recognition: str = "service_end"
    count_by: str = "account"
    reactivation_window_days: int | None = None
    count_in_period: bool = False
    nrr_reactivation: bool = False
    quick_ratio_reactivation: bool = False
    small_base: int = 20
    ageing_basis: str = "due_date"
    cei_current: str = "not_due"
    loss_not_due: Decimal = Decimal(1)
    loss_30: Decimal = Decimal(3)
    loss_60: Decimal = Decimal(10)
    loss_90: Decimal = Decimal(25)
    loss_more: Decimal = Decimal(50)
    active_months: int = 1
    life_cap_months: int = 120
    cac_lag_months: int = 0
    mrr_suspended: str = "keep"
    target_take_up: Decimal = Decimal(25)
    value_multiple: Decimal = Decimal(24)
    anomaly_amount: Decimal = Decimal(100)
    anomaly_percent: Decimal = Decimal(15)
    anomaly_population: bool = False
    leakage_write_offs: bool = False
    csat_scale: str = "1-5"
    close_after_days: int = 5
    zone: str = "Europe/London"
    home: str = "GBP"

    @classmethod
    def of(cls, reseller: Reseller) -> "Options":
        """Return a reseller's settings; call inside its scope."""
        chosen = KpiSettings.objects.filter(reseller=reseller).first()
        names = [f.name for f in fields(cls) if f.name not in ("zone", "home")]
        given = {name: getattr(chosen, name) for name in names} if chosen else {}
        return cls(**given, zone=str(reseller.zone), home=reseller.currency)

    def parameters(self) -> dict[str, Any]:
        """Return the settings by name, as queries take them."""
        return asdict(self)

    @property
    def suspended(self) -> bool:
        """Whether recurring revenue keeps customers that are suspended."""
        return self.mrr_suspended == KpiSettings.MrrSuspended.KEEP

    def text(self) -> str:
        """Return all of it in one line: what figures were taken under."""
        return ", ".join(f"{name}={value}" for name, value in sorted(self.parameters().items()))
