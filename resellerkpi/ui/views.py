"""Pages: every view of the house is one of these and says which capability it needs."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views import View

from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Column, visible
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope
from resellerkpi.ui.export import answer
from resellerkpi.ui.filters import ScopedFilterSet
from resellerkpi.ui.htmx import is_partial, varies
from resellerkpi.ui.panels import NOTHING, Action, EmptyState, Panel
from resellerkpi.ui.tables import HouseTable, make_table

PAGE_SIZES = (50, 100, 250)


class Page(View):
    """A page: a title, one line saying what it is for, a template and what it needs."""

    capability: ClassVar[Capability | None] = None
    public: ClassVar[bool] = False
    needs_reseller: ClassVar[bool] = True
    title: str = ""
    purpose: str = ""
    template: str = "ui/page.html"
    back: tuple[str, str] | None = None

    scope: Scope
    reseller: Reseller

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Let in who may come in: strangers sign in first, others get 403."""
        if self.capability is None and not self.public:
            raise ImproperlyConfigured(f"{type(self).__name__} does not say which capability it needs.")
        if not self.public:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            self.scope: Scope = request.scope  # type: ignore[attr-defined]
            if self.needs_reseller and not self.scope.reseller_ids:
                return redirect("switch-reseller")
            if self.capability and not self.scope.can(self.capability):
                raise PermissionDenied
        self.reseller: Reseller = getattr(request, "reseller", None)  # type: ignore[assignment]
        return super().dispatch(request, *args, **kwargs)

    @property
    def today(self) -> Any:
        """The reseller's local day."""
        return timezone.now().astimezone(self.reseller.zone).date()

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the page."""
        return self.render(self.get_context())

    def get_context(self) -> dict[str, Any]:
        """Return what the template needs; extend it in subclasses."""
        return {}

    def actions(self) -> Sequence[Action]:
        """Return the buttons of the page's head."""
        return ()

    def render(self, context: dict[str, Any], *, status: int = 200, template: str = "") -> HttpResponse:
        """Render a template of this page with title, purpose and actions."""
        page = {
            "page": self,
            "title": self.title,
            "purpose": self.purpose,
            "back": self.back,
            "actions": self.actions(),
        }
        return render(self.request, template or self.template, page | context, status=status)


class ListPage(Page):
    """A list with filters, sorting, pages of 50 and export of exactly what it shows."""

    template = "ui/list.html"
    columns: Sequence[Column] = ()
    filterset: type[ScopedFilterSet] | None = None
    row_url: str = ""
    order: Sequence[str] = ("pk",)
    empty: EmptyState = NOTHING
    max_export: int = 20_000

    def queryset(self) -> QuerySet[Any]:
        """Return the rows before filters."""
        raise ImproperlyConfigured(f"{type(self).__name__} does not say which rows it lists.")

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the list, only its table when HTMX asks, or export it."""
        filters = self.filters()
        rows = self.filtered(filters)
        if request.GET.get("as"):
            return answer(self, self.shown_columns(), rows.order_by(*self.ordering()))
        table = self.table(rows)
        context = {
            "filters": filters,
            "table": table,
            "empty": self.empty,
            "filtered": bool(filters and filters.chips()),
            "all_columns": self.allowed_columns(),
            "shown": {c.name for c in self.shown_columns()},
            "sizes": PAGE_SIZES,
            "may_export": self.scope.can(Capability.RUN_REPORTS),
            **self.get_context(),
        }
        partial = is_partial(request, "list")
        response = varies(self.render(context, template="ui/_list.html" if partial else ""))
        if partial:
            usual = [c.name for c in self.allowed_columns()[1:] if not c.hidden]
            response["HX-Push-Url"] = tidy(request, usual)
        return response

    def filters(self) -> ScopedFilterSet | None:
        """Return the filters bound to the address, None when the page has none."""
        if self.filterset is None:
            return None
        return self.filterset(self.request.GET, queryset=self.queryset(), request=self.request)

    def filtered(self, filters: ScopedFilterSet | None) -> QuerySet[Any]:
        """Return the rows the filters leave; an unusable filter leaves none."""
        if filters is None:
            return self.queryset()
        return filters.qs if filters.is_valid() else self.queryset().none()

    def allowed_columns(self) -> list[Column]:
        """Return the columns the role may see."""
        return visible(self.columns, self.scope.capabilities)

    def shown_columns(self) -> list[Column]:
        """Return the columns chosen in the address, else those not hidden at first."""
        chosen = set(self.request.GET.getlist("col"))
        allowed = self.allowed_columns()
        if chosen & {c.name for c in allowed}:
            return [c for i, c in enumerate(allowed) if i == 0 or c.name in chosen]
        return [c for c in allowed if not c.hidden]

    def ordering(self) -> list[Any]:
        """Return the order of the address or the page's own, ended by the primary key."""
        return [*self.order, *([] if "pk" in self.order else ["pk"])]

    def table(self, rows: QuerySet[Any]) -> HouseTable:
        """Return the page of rows as a table."""
        sort = self.request.GET.get("sort")
        table = make_table(
            self.shown_columns(),
            rows.order_by(*self.ordering()),
            scope=self.scope,
            order_by=sort,
            row_url=self.row_url,
        )
        size = whole(self.request.GET.get("rows"), PAGE_SIZES[0])
        size = size if size in PAGE_SIZES else PAGE_SIZES[0]
        table.paginate(per_page=size)
        table.page = table.paginator.get_page(whole(self.request.GET.get("page"), 1))
        return table


def tidy(request: HttpRequest, usual_columns: Sequence[str] = ()) -> str:
    """Return the page's address without empty parameters and defaults."""
    query = request.GET.copy()
    for name in list(query):
        values = [v for v in query.getlist(name) if v]
        query.setlist(name, values)
        usual = {"rows": [str(PAGE_SIZES[0])], "col": list(usual_columns), "page": ["1"]}.get(name)
        if not values or values == usual:
            del query[name]
    return f"{request.path}?{query.urlencode()}" if query else request.path


def whole(text: str | None, default: int) -> int:
    """Return a number out of the address, the default where it is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 8 else default


class DetailPage(Page):
    """One thing and its panels; something of another reseller, dealer or customer is not found."""

    template = "ui/detail.html"
    model: Any = None
    related: Sequence[str] = ()

    def get_object(self) -> Any:
        """Return the row of the address within the scope; raises Http404."""
        row = self.model.objects.select_related(*self.related).filter(pk=self.kwargs["pk"]).first()
        if row is None:
            raise Http404
        return row

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the thing."""
        self.object = self.get_object()
        self.title = self.title or str(self.object)
        return self.render({"object": self.object, "panels": self.panels(), **self.get_context()})

    def panels(self) -> list[Panel]:
        """Return the parts of the page."""
        return []


class FormPage(Page):
    """A form: labels above, errors at the field and in a summary, one primary button.

    `refusals` are the domain's exceptions worded for the user; `danger` is the consequence to confirm.
    """

    template = "ui/form.html"
    form_class: Any = None
    submit: str = "Save"
    cancel_url: str = ""
    danger: str = ""
    refusals: tuple[type[Exception], ...] = (ValueError,)

    def form_kwargs(self) -> dict[str, Any]:
        """Return what the form is made with besides the data."""
        return {}

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the empty form."""
        return self.show(self.form_class(**self.form_kwargs()))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Save a good form and go on; show what is wrong with another."""
        form = self.form_class(request.POST, request.FILES, **self.form_kwargs())
        if form.is_valid():
            try:
                done = self.save(form)
            except self.refusals as refused:
                form.add_error(getattr(refused, "field", None), str(refused))
            else:
                return HttpResponseRedirect(done) if isinstance(done, str) else done
        return self.show(form, status=422)

    def show(self, form: Any, *, status: int = 200) -> HttpResponse:
        """Render the form."""
        context = {"form": form, "submit": self.submit, "cancel_url": self.cancel_url, "danger": self.danger}
        return self.render(context | self.get_context(), status=status)

    def save(self, form: Any) -> str | HttpResponse:
        """Do what the form asks for and return where to go on."""
        raise ImproperlyConfigured(f"{type(self).__name__} does not say what it saves.")
