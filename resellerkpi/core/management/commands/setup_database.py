"""Migrate as the owner role and give the application's role its rights."""

import json
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from resellerkpi.core.jobs import TASK, TIMETABLE
from resellerkpi.core.rls import grant_application_role


def write_timetable() -> None:
    """Make the beat scheduler's rows agree with the declared timetable; a row an operator switched off stays off."""
    for kind, cron in TIMETABLE.items():
        minute, hour, day, month, weekday = cron.split()
        when, _ = CrontabSchedule.objects.get_or_create(
            minute=minute,
            hour=hour,
            day_of_month=day,
            month_of_year=month,
            day_of_week=weekday,
            timezone="UTC",
        )
        PeriodicTask.objects.update_or_create(
            name=kind, defaults={"crontab": when, "task": TASK, "kwargs": json.dumps({"kind": kind})}
        )
    PeriodicTask.objects.filter(task=TASK).exclude(name__in=TIMETABLE).delete()


class Command(BaseCommand):
    """Bring the database to the current schema."""

    help = "Migrates as the owner role and grants the application's role its rights."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run migrations, then grants."""
        call_command("migrate", database="owner", verbosity=options["verbosity"], interactive=False)
        grant_application_role()
        write_timetable()
