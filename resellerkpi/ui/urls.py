"""The house's own addresses."""

from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, path, re_path

from resellerkpi.ui.accounts import SignIn, SwitchReseller, Theme
from resellerkpi.ui.brand import stylesheet
from resellerkpi.ui.health import healthz, readyz
from resellerkpi.ui.job_page import JobPage

urlpatterns: list[URLPattern] = [
    path("login/", SignIn.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("resellers/", SwitchReseller.as_view(), name="switch-reseller"),
    path("theme/", Theme.as_view(), name="theme"),
    path("jobs/<uuid:pk>/", JobPage.as_view(), name="job"),
    re_path(r"^brand/(?P<colour>[0-9a-f]{6})\.css$", stylesheet, name="brand"),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
]
