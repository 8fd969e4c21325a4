"""Addresses of the report pages."""

from django.urls import URLPattern, path

from reports.web import (
    changes,
    links,
    outbox,
    post_billing,
    review,
    review_acts,
    review_card,
    review_template,
    schedule_acts,
    schedules,
)
from reports.web.catalogue import Catalogue
from reports.web.outside import SharedView
from reports.web.query import Query
from reports.web.result import ExportFile, MailPage, Result
from reports.web.roles import RolesPage
from reports.web.saved import ChangeQuery, DeleteQuery, OpenQuery, SaveQuery
from reports.web.sharing import RevokeLink, RotateLink, SharePage

urlpatterns: list[URLPattern] = [
    path("reports/", Catalogue.as_view(), name="report-list"),
    path("reports/runs/<uuid:pk>/", Result.as_view(), name="run-result"),
    path("reports/runs/<uuid:pk>/export.<str:kind>", ExportFile.as_view(), name="run-export"),
    path("reports/runs/<uuid:pk>/mail/", MailPage.as_view(), name="run-mail"),
    path("reports/runs/<uuid:pk>/share/", SharePage.as_view(), name="run-share"),
    path("reports/links/<int:pk>/revoke/", RevokeLink.as_view(), name="link-revoke"),
    path("reports/links/<int:pk>/rotate/", RotateLink.as_view(), name="link-rotate"),
    path("reports/queries/<int:pk>/", OpenQuery.as_view(), name="query-open"),
    path("reports/queries/<int:pk>/change/", ChangeQuery.as_view(), name="query-change"),
    path("reports/queries/<int:pk>/delete/", DeleteQuery.as_view(), name="query-delete"),
    path("reports/<slug:slug>/save/", SaveQuery.as_view(), name="report-save"),
    *changes.urlpatterns,
    *links.urlpatterns,
    *outbox.urlpatterns,
    *post_billing.urlpatterns,
    *schedules.urlpatterns,
    *schedule_acts.urlpatterns,
    *review_template.urlpatterns,
    *review_acts.urlpatterns,
    *review.urlpatterns,
    path("reports/<slug:slug>/", Query.as_view(), name="report"),
    path("settings/roles/", RolesPage.as_view(), name="roles"),
    path("view", SharedView.as_view(), name="shared-view"),
]

#: The card registers itself on the first page.
__all__ = ["review_card", "urlpatterns"]
