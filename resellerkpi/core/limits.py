"""How often somebody may do something: counters that fade, kept in the cache."""

from django.core.cache import cache


def taken(what: str) -> int:
    """Return how often something was counted since its window began."""
    return int(cache.get(f"limit:{what}", 0))


def count(what: str, *, seconds: int) -> int:
    """Count something once more; the window begins with the first and lasts some seconds. Return the new count."""
    key = f"limit:{what}"
    if cache.add(key, 1, timeout=seconds):
        return 1
    try:
        return int(cache.incr(key))
    except ValueError:
        cache.set(key, 1, timeout=seconds)
        return 1
