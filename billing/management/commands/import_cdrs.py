"""Load a supplier's file of call records, priced, each call once."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from billing.importing.formats import FORMATS
from billing.importing.refused import FileRefused
from billing.models import Carrier
from billing.pipeline import import_cdrs
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter


class Command(BaseCommand):
    """Take one file through parsing, rating and storing and print its counts and money as JSON."""

    help = "Loads a file of call records; of a refused file nothing is kept. Formats: " + ", ".join(
        FORMATS.slugs()
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--reseller", required=True, metavar="CODE")
        parser.add_argument("--carrier", required=True, metavar="CODE")
        layout = parser.add_mutually_exclusive_group(required=True)
        layout.add_argument("--format", metavar="NAME", help="one of " + ", ".join(FORMATS.slugs()))
        layout.add_argument(
            "--mapping", type=Path, metavar="FILE", help="JSON that names the columns (docs/formats.md)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Load the file; exits with 1 when it is refused."""
        try:
            result = self._load(**options)
        except (FileRefused, LookupError) as refused:
            self.stderr.write(str(refused))
            self.stdout.write(json.dumps({"error": str(refused)}, ensure_ascii=False))
            raise SystemExit(1) from None
        self.stderr.write(f"Loaded {result['rows']:,} rows, {result['error']:,} in error.")
        self.stdout.write(json.dumps(result, ensure_ascii=False))

    def _load(self, **options: Any) -> dict[str, Any]:
        reseller = Reseller.objects.filter(code=options["reseller"]).first()
        if reseller is None:
            raise LookupError(f"There is no reseller “{options['reseller']}”.")
        path: Path = options["file"]
        if not path.is_file():
            raise LookupError(f"There is no file “{path}”.")
        mapping = _mapping(options["mapping"])
        self.stderr.write(f"Loading {path.name} …")
        with enter(Scope.of(reseller.pk, why="command import_cdrs")):
            carrier = Carrier.objects.filter(code=options["carrier"]).first()
            if carrier is None:
                raise LookupError(f"{reseller.name} has no carrier “{options['carrier']}”.")
            return import_cdrs(
                reseller=reseller,
                carrier=carrier,
                path=path,
                now=timezone.now(),
                format_name=options["format"] or "",
                mapping=mapping,
                progress=lambda done, total, message: self.stderr.write(message),
            )


def _mapping(path: Path | None) -> Any:
    if path is None:
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError:
        raise LookupError(f"There is no mapping “{path}”.") from None
    except ValueError:
        raise FileRefused(f"The mapping {path.name} is not JSON.") from None
