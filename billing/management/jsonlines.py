"""Runs a function over JSON lines from stdin to stdout for the commands that do so."""

import sys
from collections.abc import Callable, Iterable, Iterator

from django.core.management.base import OutputWrapper

Answers = Callable[[Iterable[str]], Iterator[tuple[str, bool]]]


def answer_stdin(answers: Answers, stdout: OutputWrapper) -> None:
    """Write one answer for each line of stdin; a bad line does not stop the rest, but ends the command
    with exit code 1.
    """
    all_good = True
    for answer, good in answers(raw.decode("utf-8", "replace") for raw in sys.stdin.buffer):
        stdout.write(answer)
        all_good = all_good and good
    if not all_good:
        raise SystemExit(1)
