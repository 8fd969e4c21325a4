"""Handing a request's mails to the server one by one, each taken before and settled after in its own transaction."""

from collections.abc import Sequence

from django.utils import timezone

from reports.letters import Message
from reports.mailing import claim, hand_over, settle
from resellerkpi.core.jobs import Task
from resellerkpi.core.scope import Scope, enter


def deliver(task: Task, scope: Scope, *, request: str, waiting: Sequence[tuple[str, Message]]) -> None:
    """Send each waiting mail once; a worker that dies on the way leaves the one in its hands marked as taken."""
    for done, (address, message) in enumerate(waiting, 1):
        with enter(scope):
            taken = claim(request, address)
        if taken:
            failed = hand_over(address, message)
            with enter(scope):
                settle(request, address, failed=failed, now=timezone.now())
        task.progress(done, len(waiting), f"{done} of {len(waiting)} mails")
