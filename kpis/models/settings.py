"""How a reseller counts where the tools of the trade disagree."""

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q

from resellerkpi.core.models import TenantModel

#: Most months by which cost may precede the customers it wins.
LONGEST_LAG = 6


class KpiSettings(TenantModel):
    """Where the tools of the trade disagree: how this reseller counts. Without a row the defaults hold."""

    class ChurnBase(models.TextChoices):
        """What customer churn is divided by."""

        START = "start", "Customers at the start of the period"
        AVERAGE = "average", "Average of the customers at its start and its close"

    class CountBy(models.TextChoices):
        """What a customer is."""

        ACCOUNT = "account", "Each account"
        GROUP = "group", "Each group: accounts under one parent count once"

    class ChurnRecognition(models.TextChoices):
        """On which day a customer that leaves is lost."""

        SERVICE_END = "service_end", "The day its last service ends"
        NOTICE = "notice", "The day notice was given"

    class AgeingBasis(models.TextChoices):
        """From which day debt is aged."""

        DUE_DATE = "due_date", "Due date"
        INVOICE_DATE = "invoice_date", "Invoice date"

    class CeiCurrent(models.TextChoices):
        """Which debt collection could not have brought yet."""

        NOT_DUE = "not_due", "Debt not due yet"
        DAYS_60 = "days_60", "Debt at most 60 days past due"

    class MrrSuspended(models.TextChoices):
        """What becomes of the recurring revenue of customers that are suspended."""

        KEEP = "keep", "Keep it"
        LEAVE_OUT = "leave_out", "Leave it out until they are back"

    class CsatScale(models.TextChoices):
        """From which scores customers choose when they are asked how satisfied they are."""

        TO_5 = "1-5", "1 to 5; satisfied are 4 and 5"
        TO_10 = "1-10", "1 to 10; satisfied are 8 to 10"

    churn_base = models.CharField(max_length=8, choices=ChurnBase.choices, default=ChurnBase.START)
    churn_recognition = models.CharField(
        max_length=12,
        choices=ChurnRecognition.choices,
        default=ChurnRecognition.SERVICE_END,
        db_default=ChurnRecognition.SERVICE_END,
    )
    count_by = models.CharField(max_length=8, choices=CountBy.choices, default=CountBy.ACCOUNT)
    reactivation_window_days = models.PositiveIntegerField(null=True, blank=True)
    count_in_period = models.BooleanField(default=False)
    nrr_reactivation = models.BooleanField(default=False)
    quick_ratio_reactivation = models.BooleanField(default=False)
    small_base = models.PositiveIntegerField(default=20)
    ageing_basis = models.CharField(max_length=12, choices=AgeingBasis.choices, default=AgeingBasis.DUE_DATE)
    cei_current = models.CharField(
        max_length=8, choices=CeiCurrent.choices, default=CeiCurrent.NOT_DUE, db_default=CeiCurrent.NOT_DUE
    )
    loss_not_due = models.DecimalField(max_digits=5, decimal_places=2, default=1)
    loss_30 = models.DecimalField(max_digits=5, decimal_places=2, default=3)
    loss_60 = models.DecimalField(max_digits=5, decimal_places=2, default=10)
    loss_90 = models.DecimalField(max_digits=5, decimal_places=2, default=25)
    loss_more = models.DecimalField(max_digits=5, decimal_places=2, default=50)
    active_months = models.PositiveSmallIntegerField(default=1)
    life_cap_months = models.PositiveSmallIntegerField(default=120)
    cac_lag_months = models.PositiveSmallIntegerField(
        default=0, db_default=0, validators=[MaxValueValidator(LONGEST_LAG)]
    )
    mrr_suspended = models.CharField(
        max_length=9, choices=MrrSuspended.choices, default=MrrSuspended.KEEP, db_default=MrrSuspended.KEEP
    )
    target_take_up = models.DecimalField(max_digits=5, decimal_places=2, default=25)
    value_multiple = models.DecimalField(max_digits=6, decimal_places=2, default=24, db_default=24)
    anomaly_amount = models.DecimalField(max_digits=12, decimal_places=2, default=100, db_default=100)
    anomaly_percent = models.DecimalField(max_digits=5, decimal_places=2, default=15, db_default=15)
    anomaly_population = models.BooleanField(default=False, db_default=False)
    leakage_write_offs = models.BooleanField(default=False, db_default=False)
    csat_scale = models.CharField(
        max_length=4, choices=CsatScale.choices, default=CsatScale.TO_5, db_default=CsatScale.TO_5
    )
    close_after_days = models.PositiveSmallIntegerField(default=5)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reseller"], name="kpi_settings_once"),
            models.CheckConstraint(
                name="kpi_settings_ranges",
                condition=Q(active_months__gte=1, active_months__lte=24, small_base__gte=1)
                & Q(close_after_days__lte=31, life_cap_months__gte=1),
            ),
            models.CheckConstraint(
                name="kpi_settings_losses",
                condition=Q(loss_not_due__gte=0, loss_30__gte=0, loss_60__gte=0, loss_90__gte=0)
                & Q(loss_more__gte=0, loss_not_due__lte=100, loss_30__lte=100, loss_60__lte=100)
                & Q(loss_90__lte=100, loss_more__lte=100, target_take_up__gte=0, target_take_up__lte=100),
            ),
            models.CheckConstraint(
                name="kpi_settings_thresholds",
                condition=Q(value_multiple__gte=0, anomaly_amount__gte=0, anomaly_percent__gte=0),
            ),
            models.CheckConstraint(name="kpi_settings_lag", condition=Q(cac_lag_months__lte=LONGEST_LAG)),
        ]

    def __str__(self) -> str:
        return "How KPIs are counted"
