"""Composition root: every address of the house."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("kpis.web.urls")),
    path("", include("billing.web.urls")),
    path("", include("reports.web.urls")),
    path("", include("resellerkpi.ui.urls")),
]

handler400 = "resellerkpi.ui.errors.bad_request"
handler403 = "resellerkpi.ui.errors.forbidden"
handler404 = "resellerkpi.ui.errors.not_found"
handler500 = "resellerkpi.ui.errors.server_error"
