"""Signing in and out, changing reseller, light or dark."""

from typing import Any

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from resellerkpi.core.access import Capability
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import enter
from resellerkpi.ui.context import THEMES
from resellerkpi.ui.middleware import standing
from resellerkpi.ui.navigation import home
from resellerkpi.ui.views import Page

A_YEAR = 365 * 24 * 3600


class SignIn(LoginView):
    """Sign in by e-mail and password."""

    template_name = "registration/login.html"
    redirect_authenticated_user = True
    public = True

    def get_default_redirect_url(self) -> str:
        """Lead to the first page the person's role includes."""
        scope, _ = standing(self.request.user)  # type: ignore[arg-type]
        with enter(scope):
            return home(scope) or reverse("switch-reseller")


class SwitchReseller(Page):
    """The resellers a person may enter; an operator may enter any."""

    capability = Capability.SIGNED_IN
    needs_reseller = False
    title = "Resellers"
    purpose = "Choose the reseller whose figures and book you want to work in."
    template = "ui/resellers.html"

    def choices(self) -> list[Reseller]:
        """Return the resellers the person may enter, by name."""
        user: Any = self.request.user
        found = Reseller.objects.order_by("name", "pk")
        return list(found if user.is_operator else found.filter(memberships__user=user))

    def get_context(self) -> dict[str, Any]:
        """Return the choices."""
        return {"resellers": self.choices()}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Enter the chosen reseller."""
        user: Any = request.user
        wanted = request.POST.get("reseller", "")
        for reseller in self.choices():
            if str(reseller.pk) == wanted:
                user.current_reseller = reseller
                user.save(update_fields=["current_reseller"])
                scope, _ = standing(user)
                return redirect(home(scope) or "switch-reseller")
        return self.render(self.get_context() | {"refused": "Choose one of your resellers."}, status=422)


class Theme(Page):
    """Light, dark or as the device says; kept in a cookie, so that it works without scripts."""

    public = True

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Lead home: there is nothing to see here."""
        return redirect("/")

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Remember the theme and go back to where the person was."""
        theme, back = request.POST.get("theme", "auto"), request.POST.get("next", "/")
        if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}):
            back = "/"
        response = HttpResponseRedirect(back)
        if theme in THEMES:
            response.set_cookie(
                "theme", theme, max_age=A_YEAR, samesite="Lax", httponly=True, secure=request.is_secure()
            )
        return response
