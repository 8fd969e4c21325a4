"""A worker of the benches: gets ready, says so, waits for the word on its input, works, and ends.

`python -m bench.worker supply RESELLER CARRIER FILE` or `python -m bench.worker bill RESELLER`; several pieces of
work may follow each other, parted by “then”.
"""

import os
import sys
from itertools import groupby
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resellerkpi.settings")
django.setup()

from bench.book import Book
from bench.work import bill_run, supply
from billing.models import Carrier
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import enter


def do(words: list[str]) -> None:
    """Do one piece of work."""
    reseller = Reseller.objects.get(pk=int(words[1]))
    book = Book(reseller, (), 0, 0)
    if words[0] == "bill":
        bill_run(book)
        return
    with enter(book.scope):
        carrier = Carrier.objects.get(pk=int(words[2]))
    supply(book, Path(words[3]), carrier)


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    for is_break, piece in groupby(sys.argv[1:], lambda word: word == "then"):
        if not is_break:
            do(list(piece))
