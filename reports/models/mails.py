"""Mails with a run: what was written once, and how it went to each person."""

from django.db import models

from reports.models.runs import Run
from resellerkpi.core.fields import Link
from resellerkpi.core.models import Artifact, TenantModel, User


class Letter(TenantModel):
    """What a mail said, kept as it was sent: everybody of one request who may see the same columns got the same.

    `files` are the attached ones, each with name, size in bytes, rows and SHA-256; `picture` is the chart in the body.
    """

    run = Link(Run, on_delete=models.CASCADE, related_name="letters")
    request = models.UUIDField()
    columns = models.JSONField(default=list)
    subject = models.CharField(max_length=300)
    sender = models.CharField(max_length=200)
    text = models.TextField()
    html = models.TextField()
    files = models.JSONField(default=list)
    picture = Link(Artifact, null=True, on_delete=models.PROTECT, related_name="+")
    written_at = models.DateTimeField()

    dealer_path = "run__dealer_id"

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "run", "request", "columns"], name="report_letter_once"
            )
        ]

    def __str__(self) -> str:
        return self.subject


class MailDelivery(TenantModel):
    """One mail with a run to one person, and whether it went out; never sent twice for the same request.

    FAILED may be tried again (no server, a full box), REFUSED is the server's last word on the address, UNSURE may have
    arrived: it is not sent again by itself.
    """

    class State(models.TextChoices):
        """How far the mail got."""

        PENDING = "pending", "Waiting"
        SENDING = "sending", "Being sent"
        SENT = "sent", "Sent"
        FAILED = "failed", "Not sent"
        REFUSED = "refused", "Refused"
        UNSURE = "unsure", "Not known"

    run = Link(Run, on_delete=models.CASCADE, related_name="deliveries")
    request = models.UUIDField()
    recipient = models.EmailField()
    formats = models.CharField(max_length=20, blank=True)
    state = models.CharField(max_length=7, choices=State.choices, default=State.PENDING)
    error = models.CharField(max_length=300, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    letter = Link(Letter, null=True, on_delete=models.SET_NULL, related_name="deliveries")
    asked_by = Link(User, null=True, on_delete=models.SET_NULL, related_name="+")
    asked_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)

    dealer_path = "run__dealer_id"

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reseller", "run", "request", "recipient"], name="report_mail_once"
            )
        ]
        indexes = [models.Index(fields=["reseller", "-asked_at"], name="report_mail_asked_at")]

    def __str__(self) -> str:
        return f"{self.recipient}: {self.get_state_display()}"
