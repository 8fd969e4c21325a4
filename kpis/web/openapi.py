"""The endpoints described as OpenAPI 3.1, out of the declarations."""

from typing import Any

from kpis.dictionary import types_of
from kpis.kpi import KPIS, Kpi, Unit
from kpis.longer import LENGTHS
from kpis.web.kpi_rows import names_of
from kpis.web.standing import STANDINGS

_TEXT: dict[str, Any] = {"type": "string"}
_FIGURE: dict[str, Any] = {"type": ["number", "null"]}
_MODE = {
    "name": "outputMode",
    "in": "query",
    "description": "json (the default of a bearer key), csv or html.",
    "schema": {"type": "string", "enum": ["json", "csv", "html"]},
}
_MONTHS: list[dict[str, Any]] = [
    {
        "name": name,
        "in": "query",
        "description": f"The {which} month, included. Without months: the present one; byMonth: 25 months.",
        "schema": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$"},
    }
    for name, which in (("from", "first"), ("to", "last"))
] + [
    {
        "name": "per",
        "in": "query",
        "description": "Rows per month, quarter or year; month is then the first month of the row's period.",
        "schema": {"type": "string", "enum": list(LENGTHS), "default": "month"},
    },
    {
        "name": "on",
        "in": "query",
        "description": "Figures as of the end of this day; without it, as of now.",
        "schema": {"type": "string", "format": "date"},
    },
]
_REFUSED: dict[str, Any] = {
    code: {
        "description": words,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
    }
    for code, words in (
        ("400", "The address makes no sense; the sentence says why."),
        ("401", "No key, or one that is not known, has ended or was revoked."),
        ("403", "A key that may not stand in an address."),
        ("404", "No such KPI or type for this key."),
        ("405", "Endpoints are read only."),
        ("429", "Asked too often; Retry-After says when to ask again."),
    )
}


def document() -> dict[str, Any]:
    """Return the whole description."""
    paths: dict[str, Any] = {"/backend/kpi/": _path("List what may be asked for", "", _index(), [])}
    for category, types in STANDINGS.items():
        for kind, standing in types.items():
            title = f"{category.capitalize()} on the books now, {kind}"
            paths[f"/backend/kpi/{category}/{kind}/"] = _path(title, "", _fields(standing.names), [])
    for kpi in KPIS:
        for kind, dimension in types_of(kpi).items():
            path = _path(f"{kpi.name}, {kind}", kpi.formula, _kpi_fields(kpi, dimension), _MONTHS)
            paths[f"/backend/kpi/{kpi.slug}/{kind}/"] = path
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ResellerKPI endpoints",
            "version": "1",
            "description": "Arrays of flat objects; a row per currency; money with three decimals, per cents as"
            " ratios, months as 2026-10. Figures of the reseller, or dealer, the key was made for.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "address": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "key",
                    "description": "Pages only, and only a key made for addresses.",
                },
            },
            "schemas": {"Refusal": {"type": "object", "required": ["error"], "properties": {"error": _TEXT}}},
        },
        "security": [{"bearer": []}, {"address": []}],
    }


def _path(title: str, text: str, fields: dict[str, Any], extra: list[dict[str, Any]]) -> dict[str, Any]:
    rows = {"type": "array", "items": {"type": "object", "properties": fields, "required": list(fields)}}
    good = {
        "description": "The rows. The ETag answers If-None-Match with 304.",
        "content": {
            "application/json": {"schema": rows},
            "text/csv": {"schema": _TEXT},
            "text/html": {"schema": _TEXT},
        },
    }
    described = {"description": text} if text else {}
    return {
        "get": {
            "summary": title,
            **described,
            "parameters": [_MODE, *extra],
            "responses": {"200": good, "304": {"description": "Nothing has changed."}, **_REFUSED},
        }
    }


def _index() -> dict[str, Any]:
    return dict.fromkeys(("category", "type", "name", "address"), _TEXT)


def _fields(names: tuple[str, ...]) -> dict[str, Any]:
    figures = ("count", "amount", "outstanding")
    return {n: {"type": "number"} if n.rsplit("_", 1)[-1] in figures else _TEXT for n in names}


def _kpi_fields(kpi: Kpi, dimension: str) -> dict[str, Any]:
    texts = {"month", dimension, f"{dimension}_name", f"{kpi.slug}_currency", f"{kpi.slug}_marks"}
    fields = {n: dict(_TEXT if n in texts else _FIGURE) for n in names_of(kpi, dimension)}
    if kpi.unit is Unit.PERCENT:
        fields[kpi.slug]["description"] = "A ratio: 0.05 is 5 %."
    return fields
