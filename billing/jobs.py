"""Background work of billing: thin handlers that call one function of the pipeline."""

from typing import Any

from django.utils import timezone

from billing.importing.tables.mapping import Mapping
from billing.importing.uploads import forget, path_of
from billing.pipeline_book import import_any
from resellerkpi.core.jobs import JobRefused, Task, job
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import local_day


@job("book.import")
def import_upload(
    task: Task, *, kind: str, token: str, mapping: dict[str, Any], options: dict[str, Any], url: str
) -> dict[str, Any]:
    """Load an uploaded list or deck; a refused one is kept, so that its mapping can be mended."""
    path = path_of(token)
    if path is None:
        raise JobRefused("The uploaded file is gone; upload it again.")
    with task.scope() as scope:
        reseller = Reseller.objects.get(pk=scope.reseller_id)
        today = local_day(timezone.now(), reseller.zone)
        read = Mapping.of(mapping)
        outcome = import_any(kind, path, reseller=reseller, mapping=read, options=options, today=today)
    if outcome.problems:
        first = outcome.problems[0]
        where = f"Line {first.line}: " if first.line else ""
        more = f" And {len(outcome.problems) - 1} more." if len(outcome.problems) > 1 else ""
        raise JobRefused(f"Nothing was loaded. {where}{first.error}{more}")
    forget(token)
    return {**outcome.as_dict(), "url": url}
