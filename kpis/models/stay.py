"""Why customers stay: the question asked by mail or by staff, and the answer."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from billing.models import Customer
from resellerkpi.core.fields import Link
from resellerkpi.core.models import TenantModel


class StayAnswer(TenantModel):
    """The stay question to a customer: asked, perhaps by a link that ends, and answered once.

    Only a hash of the link's token is kept; an answer staff wrote down has none.
    """

    class Reason(models.TextChoices):
        """Why a customer stays."""

        PRICE = "price", "The price"
        SERVICE = "service", "Service and support"
        RELIABILITY = "reliability", "It works"
        FEATURES = "features", "The features"
        PEOPLE = "people", "The people"
        CONTRACT = "contract", "The contract"
        HABIT = "habit", "No reason to change"
        OTHER = "other", "Other"

    customer = Link(Customer, on_delete=models.CASCADE, related_name="stay_answers")
    asked_at = models.DateTimeField()
    asked_by = Link(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    token_hash = models.CharField(max_length=64, blank=True)
    expires_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=16, choices=Reason.choices, blank=True)
    words = models.TextField(blank=True)

    dealer_path = "customer__dealer_id"
    customer_path = "customer_id"

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(answered_at__isnull=True, reason="")
                | (Q(answered_at__isnull=False) & ~Q(reason="")),
                name="stay_answer_has_reason",
            ),
            models.UniqueConstraint(
                fields=["reseller", "token_hash"], condition=~Q(token_hash=""), name="stay_answer_token"
            ),
        ]
        indexes = [models.Index(fields=["reseller", "customer", "asked_at"], name="stay_answer_customer")]

    def __str__(self) -> str:
        return f"{self.customer}: {self.get_reason_display() or 'not answered yet'}"
