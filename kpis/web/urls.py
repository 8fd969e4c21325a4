"""Addresses of the overview and the KPIs."""

from django.urls import URLPattern, path

from kpis.web.backend import BackendAnswer, BackendIndex, OpenApi
from kpis.web.campaigns import CampaignEdit, CampaignList, CampaignPage, Funnel
from kpis.web.closing import CloseMonth, Closing, MonthPage
from kpis.web.connect import Connect, RevokeKey
from kpis.web.counting import Counting
from kpis.web.detail import KpiCsv, KpiDetail, KpiJson
from kpis.web.dictionary import Dictionary, DictionaryJson
from kpis.web.observations import (
    EnterObservations,
    ObservationList,
    ObservationMetrics,
    ObservationTemplate,
)
from kpis.web.overview import KpiList, Overview
from kpis.web.stay import AskToStay, GiveAnswer
from kpis.web.why import Why

urlpatterns: list[URLPattern] = [
    path("", Overview.as_view(), name="overview"),
    path("kpis/", KpiList.as_view(), name="kpi-list"),
    path("kpis/dictionary/", Dictionary.as_view(), name="kpi-dictionary"),
    path("kpis/dictionary.json", DictionaryJson.as_view(), name="kpi-dictionary-json"),
    path("kpis/closing/", Closing.as_view(), name="kpi-closing"),
    path("kpis/closing/<slug:month>/", MonthPage.as_view(), name="kpi-month"),
    path("kpis/closing/<slug:month>/close/", CloseMonth.as_view(), name="kpi-month-close"),
    path("kpis/connect/", Connect.as_view(), name="kpi-connect"),
    path("kpis/keys/<int:pk>/revoke/", RevokeKey.as_view(), name="key-revoke"),
    path("kpis/settings/", Counting.as_view(), name="kpi-settings"),
    path("kpis/campaigns/", CampaignList.as_view(), name="campaign-list"),
    path("kpis/campaigns/of/<path:name>/", CampaignPage.as_view(), name="campaign"),
    path("kpis/campaigns/change/<path:name>/", CampaignEdit.as_view(), name="campaign-edit"),
    path("kpis/funnel/", Funnel.as_view(), name="funnel"),
    path("kpis/why/", Why.as_view(), name="why-leave"),
    path("customers/<int:pk>/stay/", AskToStay.as_view(), name="customer-stay"),
    path("answer", GiveAnswer.as_view(), name="stay-answer"),
    path("kpis/observations/", ObservationMetrics.as_view(), name="observation-metrics"),
    path("kpis/observations/lines/", ObservationList.as_view(), name="observation-list"),
    path("kpis/observations/<slug:slug>/", EnterObservations.as_view(), name="observation-enter"),
    path(
        "kpis/observations/<slug:slug>/template.csv",
        ObservationTemplate.as_view(),
        name="observation-template",
    ),
    path("kpis/<slug:slug>/", KpiDetail.as_view(), name="kpi"),
    path("kpis/<slug:slug>.json", KpiJson.as_view(), name="kpi-json"),
    path("kpis/<slug:slug>.csv", KpiCsv.as_view(), name="kpi-csv"),
    path("backend/kpi/", BackendIndex.as_view(), name="backend"),
    path("backend/kpi/openapi.json", OpenApi.as_view(), name="backend-openapi"),
    path("backend/kpi/<slug:category>/", BackendAnswer.as_view(), name="backend-category"),
    path("backend/kpi/<slug:category>/<slug:kind>/", BackendAnswer.as_view(), name="backend-answer"),
]
