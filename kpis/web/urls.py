"""Addresses of the overview and the KPIs."""

from django.urls import URLPattern, path

from kpis.web.detail import KpiCsv, KpiDetail, KpiJson
from kpis.web.overview import KpiList, Overview

urlpatterns: list[URLPattern] = [
    path("", Overview.as_view(), name="overview"),
    path("kpis/", KpiList.as_view(), name="kpi-list"),
    path("kpis/<slug:slug>/", KpiDetail.as_view(), name="kpi"),
    path("kpis/<slug:slug>.json", KpiJson.as_view(), name="kpi-json"),
    path("kpis/<slug:slug>.csv", KpiCsv.as_view(), name="kpi-csv"),
]
