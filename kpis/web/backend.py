"""The endpoints for machines: every KPI by every dimension and the standing counts, as JSON, CSV or a plain page.

A bearer key answers with JSON unless asked otherwise. A key in the address (`?key=`) opens a plain page only, and only
a key made for that. Every refusal says why in one sentence and never whose data it is.
"""

import hashlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.decorators import method_decorator
from django.utils.http import parse_etags
from django.views.decorators.csrf import csrf_exempt

from kpis.dictionary import types_of
from kpis.kpi import KPIS, Kpi, UnknownDimension
from kpis.reading import Reader, read_day
from kpis.web.answers import Answer, amount, exact_json
from kpis.web.asked import read_query
from kpis.web.kpi_rows import kpi_answer
from kpis.web.openapi import document
from kpis.web.standing import STANDINGS
from resellerkpi.core import keys
from resellerkpi.core.limits import count, taken
from resellerkpi.core.models import ApiKey
from resellerkpi.core.periods import BadPeriod, local_day
from resellerkpi.core.scope import Scope, enter
from resellerkpi.ui.views import Page

MODES = ("json", "csv", "html")
#: What an address may carry anywhere; the months only where a KPI is asked for.
ALWAYS, MONTHS = ("outputMode", "key"), ("from", "to", "per", "on")
A_MINUTE, MOST_A_MINUTE = 60, 120
MISS_SECONDS, MOST_MISSES = 600, 30
HEADERS = {
    "Cache-Control": "private, no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
}
STANDING_NAME = "{} on the books now"
UNKNOWN = "This key is not known, has ended or was revoked."


class Refused(Exception):
    """A request that is not answered: its status and one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@method_decorator(
    csrf_exempt, name="dispatch"
)  # nothing is written here: a POST is told so, in the mode's form
class Backend(Page):
    """An endpoint: finds the key, stays inside its scope and its rate, answers in the mode asked for."""

    public = True
    needs_reseller = False
    http_method_names = ["get", "head"]
    template = "kpis/backend.html"
    by_address = False

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer inside the scope of the key; whatever goes wrong is said in the mode's own form."""
        self.mode = "html" if "key" in request.GET else "json"
        try:
            response = self._by_key(lambda: super(Backend, self).dispatch(request, *args, **kwargs))
        except Refused as refused:
            response = self.refuse(refused)
        for name, value in HEADERS.items():
            response[name] = value
        patch_vary_headers(response, ["Authorization"])
        return response

    def _by_key(self, answer: Callable[[], HttpResponseBase]) -> HttpResponseBase:
        address, now = str(self.request.META.get("REMOTE_ADDR", "")), timezone.now()
        token = self._token()
        if taken(f"key-miss:{address}") >= MOST_MISSES:
            raise Refused(429, "Too many wrong keys from here. Wait ten minutes.")
        reseller_id = keys.reseller_of(token, now=now)
        if reseller_id is None:
            count(f"key-miss:{address}", seconds=MISS_SECONDS)
            raise Refused(401, UNKNOWN)
        with enter(keys.lookup_scope(reseller_id)):
            self.key: ApiKey = keys.key_of(token)
            self._check(now)
        with enter(keys.scope_of(self.key)) as scope:
            self.scope: Scope = scope
            return answer()

    def _token(self) -> str:
        """Return the token of the header, else of the address."""
        kind, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and token.strip():
            return token.strip()
        self.by_address = "key" in self.request.GET
        if not self.by_address:
            raise Refused(401, "Send a key in the header “Authorization: Bearer …”.")
        return str(self.request.GET["key"])

    def _check(self, now: Any) -> None:
        """Refuse an address that may not carry this key, an unknown mode, and more than the rate."""
        self.mode = self.request.GET.get("outputMode", "html" if self.by_address else "json").lower()
        if self.mode not in MODES:
            self.mode = "html" if self.by_address else "json"
            raise Refused(400, "outputMode is json, csv or html.")
        if self.by_address and not self.key.in_address:
            raise Refused(403, "This key may not stand in an address. Send it in the Authorization header.")
        if self.by_address and self.mode != "html":
            self.mode = "html"
            raise Refused(403, "A key in an address opens pages only. Send it in the Authorization header.")
        if count(f"key:{self.key.pk}", seconds=A_MINUTE) > MOST_A_MINUTE:
            raise Refused(429, f"This key asked more than {MOST_A_MINUTE} times in a minute.")
        keys.used(self.key, now=now)

    def only(self, *names: str) -> None:
        """Refuse what the address asks and nobody would answer: a misspelt month must not give another month."""
        known = (*ALWAYS, *names)
        for name in self.request.GET:
            if name not in known:
                raise Refused(400, f"“{name}” means nothing here. Known: {', '.join(known)}.")

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Say in the mode's own form that endpoints are only read."""
        raise Refused(405, "Endpoints are read only: ask with GET.")

    def answer(self, found: Answer) -> HttpResponse:
        """Return an answer in the mode asked for, with its ETag; 304 when the asker has it."""
        if self.mode == "html":
            self.title = found.title
            reseller = self.key.reseller
            context = {"answer": found, "reseller": reseller, "brand": reseller.colour.lstrip("#").lower()}
            response = self.render({**context, "user": None, "scope": None})
        elif self.mode == "csv":
            response = HttpResponse(found.csv(), content_type="text/csv; charset=utf-8")
        else:
            response = HttpResponse(found.json(), content_type="application/json")
        etag = f'"{hashlib.sha256(response.content).hexdigest()[:32]}"'
        had = [tag.removeprefix("W/") for tag in parse_etags(self.request.headers.get("If-None-Match", ""))]
        if etag in had or "*" in had:
            response = HttpResponse(status=304)
        response["ETag"] = etag
        return response

    def refuse(self, refused: Refused) -> HttpResponse:
        """Say why not: a JSON object with `error`, or a sentence."""
        if self.mode == "json":
            body, kind = exact_json({"error": str(refused)}), "application/json"
        else:
            body, kind = str(refused), "text/plain; charset=utf-8"
        response = HttpResponse(body, status=refused.status, content_type=kind)
        if refused.status == 401:
            response["WWW-Authenticate"] = 'Bearer realm="KPIs"'
        if refused.status == 405:
            response["Allow"] = "GET, HEAD"
        if refused.status == 429:
            response["Retry-After"] = str(A_MINUTE)
        return response

    def find_reader(self) -> Reader:
        """Return what reads KPIs with the key's eyes, as of the day asked for."""
        now = timezone.now()
        try:
            day = read_day(self.request.GET.get("on", ""), local_day(now, self.key.reseller.zone))
        except BadPeriod as wrong:
            raise Refused(400, str(wrong)) from None
        return Reader(self.key.reseller, self.scope, now, day=day)


class BackendIndex(Backend):
    """What may be asked for: an address a row."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """List every category, KPI and type the key may see."""
        self.only()
        rows = [
            {
                "category": name,
                "type": kind,
                "address": f"/backend/kpi/{name}/{kind}/",
                "name": STANDING_NAME.format(name.capitalize()),
            }
            for name, kinds in STANDINGS.items()
            for kind, standing in kinds.items()
            if standing.needs is None or self.scope.can(standing.needs)
        ]
        for kpi in self.find_reader().visible(KPIS):
            rows += [
                {
                    "category": kpi.slug,
                    "type": t,
                    "address": f"/backend/kpi/{kpi.slug}/{t}/",
                    "name": kpi.name,
                }
                for t in types_of(kpi)
            ]
        return self.answer(Answer("Endpoints", ("category", "type", "name", "address"), rows))


class BackendAnswer(Backend):
    """A category or KPI, by a type: /backend/kpi/invoices/byMonth/, /backend/kpi/churn_customer/byDealer/."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer for a category of standing counts or for a KPI."""
        category, kind = kwargs["category"], kwargs.get("kind", "summary")
        if category in STANDINGS:
            return self.standing(category, kind)
        reader = self.find_reader()
        if category not in KPIS or not reader.visible([KPIS.get(category)]):
            raise Refused(404, f"There is no KPI “{category}” for this key. /backend/kpi/ lists them.")
        return self.kpi(KPIS.get(category), kind, reader)

    def standing(self, category: str, kind: str) -> HttpResponse:
        """Answer with standing counts."""
        self.only()
        types = {name.lower(): (name, standing) for name, standing in STANDINGS[category].items()}
        name, found = types.get(kind.lower(), ("", None))
        if found is None or (found.needs and not self.scope.can(found.needs)):
            raise Refused(404, f"“{category}” has no type “{kind}” for this key. /backend/kpi/ lists them.")
        reader = self.find_reader()
        rows = [
            {n: amount(v) if isinstance(v, Decimal) else v for n, v in row.items()}
            for row in found.rows(reader.today)
        ]
        about = [("As of", reader.today.isoformat())]
        return self.answer(Answer(f"{category.capitalize()}: {name}", found.names, rows, about))

    def kpi(self, kpi: Kpi, kind: str, reader: Reader) -> HttpResponse:
        """Answer with a KPI over months, by a dimension or not."""
        self.only(*MONTHS)
        types = {t.lower(): dimension for t, dimension in types_of(kpi).items()}
        if kind.lower() not in types:
            raise Refused(404, f"“{kpi.slug}” has no type “{kind}”. Known: {', '.join(types_of(kpi))}.")
        given = {k: v for k, v in self.request.GET.dict().items() if k in ("from", "to", "per")}
        if "from" not in given and kind.lower() != "bymonth":
            given["from"] = given["to"] = given.get("to") or f"{reader.today:%Y-%m}"
        try:
            query = read_query(kpi, {**given, "by": types[kind.lower()]}, reader)
        except (BadPeriod, UnknownDimension) as wrong:
            raise Refused(400, str(wrong.args[0])) from None
        return self.answer(kpi_answer(kpi, query, reader))


class OpenApi(Page):
    """The description of the endpoints as OpenAPI 3.1: open to everybody, it names no data."""

    public = True
    needs_reseller = False

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return the document."""
        text = cache.get("openapi")
        if text is None:
            text = exact_json(document())
            cache.set("openapi", text, 3600)
        return HttpResponse(text, content_type="application/json")
