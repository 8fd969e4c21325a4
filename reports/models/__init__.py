"""Models of the reports: runs and links, mails, schedules, post-billing, the monthly review."""

from reports.models.changes import Comparison
from reports.models.mails import Letter, MailDelivery
from reports.models.post_billing import PostBilling
from reports.models.review import (
    Evidence,
    ReviewAction,
    ReviewMark,
    ReviewReminder,
    ReviewSettings,
    ReviewStep,
    SignedWeek,
)
from reports.models.runs import Export, Run, SavedQuery, ShareLink, ShareView
from reports.models.schedules import Schedule, ScheduleTurn

__all__ = [
    "Comparison",
    "Evidence",
    "Export",
    "Letter",
    "MailDelivery",
    "PostBilling",
    "ReviewAction",
    "ReviewMark",
    "ReviewReminder",
    "ReviewSettings",
    "ReviewStep",
    "Run",
    "SavedQuery",
    "Schedule",
    "ScheduleTurn",
    "ShareLink",
    "ShareView",
    "SignedWeek",
]
