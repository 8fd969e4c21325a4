"""Reads ahead: the next item is made in a thread while the caller works on this one."""

import queue
import threading
from collections.abc import Iterator
from typing import Any, TypeVar

T = TypeVar("T")
WAIT = 0.5
END = object()


def ahead(items: Iterator[T], *, depth: int = 1) -> Iterator[T]:
    """Yield what `items` yields, made up to `depth` items ahead; its error comes at its place, and it ends with us.

    An item is begun only when there is room for it, so that no more than `depth` of them wait or are being made.
    """
    waiting: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    room = threading.Semaphore(depth)
    stop = threading.Event()

    def make() -> None:
        try:
            while not stop.is_set():
                if not room.acquire(timeout=WAIT):
                    continue
                item = next(items, END)
                if item is END:
                    break
                waiting.put(("item", item))
            waiting.put(("end", None))
        except BaseException as error:
            waiting.put(("error", error))

    worker = threading.Thread(target=make, daemon=True)
    worker.start()
    try:
        while True:
            kind, value = waiting.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            room.release()
            yield value
    finally:
        stop.set()
        worker.join()
