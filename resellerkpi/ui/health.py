"""Whether the house is up: for load balancers and operators."""

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from redis.exceptions import RedisError


def healthz(request: HttpRequest) -> HttpResponse:
    """Say that this process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(request: HttpRequest) -> HttpResponse:
    """Say whether the database and the cache answer: 200 when both do, else 503."""
    found = {"database": _database(), "cache": _cache()}
    return JsonResponse(found, status=200 if all(v == "ok" for v in found.values()) else 503)


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "does not answer"
    return "ok"


def _cache() -> str:
    if not settings.REDIS_URL:
        return "ok"
    try:
        cache.get("readyz")
    except (RedisError, OSError):
        return "does not answer"
    return "ok"
