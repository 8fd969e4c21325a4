"""The Celery application; every task is idempotent and there is one: run_job."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resellerkpi.settings")

app = Celery("resellerkpi")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.set_default()
