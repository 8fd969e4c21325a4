"""Models of the reports: runs and links, mails, schedules, post-billing."""

from reports.models.changes import Comparison
from reports.models.mails import Letter, MailDelivery
from reports.models.post_billing import PostBilling
from reports.models.runs import Export, Run, SavedQuery, ShareLink, ShareView
from reports.models.schedules import Schedule, ScheduleTurn

__all__ = [
    "Comparison",
    "Export",
    "Letter",
    "MailDelivery",
    "PostBilling",
    "Run",
    "SavedQuery",
    "Schedule",
    "ScheduleTurn",
    "ShareLink",
    "ShareView",
]
