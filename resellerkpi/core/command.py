"""The base of commands whose last line on stdout is one JSON object, whatever comes of them."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class JsonCommand(BaseCommand):
    """A command that says why it refused as JSON on stdout too; the sentence goes to stderr as ever."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command; print `{"error": sentence}` before a CommandError goes on."""
        try:
            return super().execute(*args, **options)
        except CommandError as refused:
            self.stdout.write(json.dumps({"error": str(refused)}, ensure_ascii=False))
            raise
