"""Reads ahead: the next item is made in a thread while the caller works on this one."""

import queue
import threading
from collections.abc import Iterator
from typing import Any, TypeVar

T = TypeVar("T")
WAIT = 0.5


def ahead(items: Iterator[T], *, depth: int = 1) -> Iterator[T]:
    """Yield what `items` yields, made up to `depth` items ahead; its error comes at its place, and it ends with us."""
    waiting: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def offer(kind: str, value: Any) -> bool:
        while not stop.is_set():
            try:
                waiting.put((kind, value), timeout=WAIT)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for item in items:
                if not offer("item", item):
                    return
            offer("end", None)
        except BaseException as error:
            offer("error", error)

    worker = threading.Thread(target=make, daemon=True)
    worker.start()
    try:
        while True:
            kind, value = waiting.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        stop.set()
        worker.join()
