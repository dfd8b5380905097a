"""Findings in the admin: worked through one by one or many at once; what was found can only be looked at."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import User
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from gates.admin.evidence import EvidenceAdmin
from gates.ledger_audit.pages import changes_of, earlier_selves
from gates.models import Finding
from gates.models.findings import TRIAGE, FindingChange

MOST_AT_ONCE = 10_000


class AssignForm(forms.Form):
    """What many findings are given at once; what is left empty stays as it is in each."""

    state = forms.ChoiceField(choices=[("", "leave as it is"), *Finding.State.choices], required=False)
    owner = forms.ModelChoiceField(User.objects.none(), required=False, empty_label="leave as it is")
    cause = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), required=False, help_text="Empty: left as it is.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["owner"].queryset = owners()  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        given = {name: value for name, value in super().clean().items() if value}  # type: ignore[union-attr]
        if not given:
            raise forms.ValidationError("Choose a state, an owner or a cause: otherwise nothing changes.")
        return given


def owners() -> QuerySet[User]:
    """Return those who may own a finding: whoever is active."""
    return User.objects.filter(is_active=True).order_by("username")


class MineFilter(admin.SimpleListFilter):
    """Findings by owner, with one's own first."""

    title = "owner"
    parameter_name = "owned"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        own = User.objects.filter(findings__isnull=False).exclude(pk=request.user.pk or 0).distinct()
        people = [(str(user.pk), user.get_username()) for user in own.order_by("username")[:50]]
        return [("mine", "mine"), ("nobody", "nobody yet"), *people]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Finding]) -> QuerySet[Finding]:
        asked = self.value()
        if asked == "mine":
            return queryset.filter(owner_id=request.user.pk)
        if asked == "nobody":
            return queryset.filter(owner=None)
        return queryset.filter(owner_id=int(asked)) if asked and asked.isdigit() else queryset


class ReturnedFilter(admin.SimpleListFilter):
    """Whether the same thing was wrong before."""

    title = "came back"
    parameter_name = "returned"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "yes"), ("no", "no")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "yes":
            return queryset.filter(before__gt=0)
        return queryset.filter(before=None) if self.value() == "no" else queryset


@admin.register(Finding)
class FindingAdmin(admin.ModelAdmin):
    """Only what people make of a finding can be edited; the database refuses every other change."""

    list_display = ("sentence", "level", "rule", "state", "owner", "times_before", "target", "run_id", "found_at")
    list_filter = ("state", MineFilter, "level", ReturnedFilter, "run__campaign__target", "run__gate", "rule")
    list_select_related = ("owner", "run__campaign__target")
    search_fields = ("sentence", "rule", "cause", "fix", "prevention_test", "fingerprint", "where")
    date_hierarchy = "found_at"
    list_per_page = 100
    show_full_result_count = False
    actions = ("assign",)
    fieldsets = (
        ("What was found", {"fields": ("sentence", "rule", "level", "expected", "measured", "difference", "keys")}),
        ("Where and when", {"fields": ("page", "found_at", "fingerprint", "earlier")}),
        ("What is made of it", {"fields": TRIAGE}),
        ("Changes", {"fields": ("changes",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Finding]:
        same = Finding.objects.filter(fingerprint=OuterRef("fingerprint"), pk__lt=OuterRef("pk"))
        counted = same.exclude(fingerprint="").order_by().values("fingerprint").annotate(n=Count("pk")).values("n")
        return super().get_queryset(request).annotate(before=Subquery(counted))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Everything but the columns that people may change."""
        own = tuple(field.name for field in Finding._meta.fields if field.name not in TRIAGE)
        return (*own, "keys", "page", "earlier", "changes")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """An owner is chosen among people, who are added and changed elsewhere."""
        form = super().get_form(request, obj, change=change, **kwargs)
        if owner := form.base_fields.get("owner"):
            for way in ("add", "change", "delete", "view"):
                setattr(owner.widget, f"can_{way}_related", False)
        return form

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description="Give a state, an owner or a cause", permissions=["change"])
    def assign(self, request: HttpRequest, queryset: QuerySet[Finding]) -> HttpResponse | None:
        """Ask what to give, then give it to all of them in one update; every row's change is recorded."""
        count = queryset.count()
        if count > MOST_AT_ONCE:
            self.message_user(request, f"{count:,} are too many at once: at most {MOST_AT_ONCE:,}.", messages.ERROR)
            return None
        form = AssignForm(request.POST if "give" in request.POST else None)
        if form.is_valid():
            chosen = Finding.objects.filter(pk__in=list(queryset.values_list("pk", flat=True)))
            trouble = _unexplained(chosen, form.cleaned_data)
            if not trouble:
                chosen.update(**form.cleaned_data)
                self.message_user(request, f"{count:,} finding{'' if count == 1 else 's'} changed.", messages.SUCCESS)
                return None
            form.add_error("cause", trouble)
        context = {
            **self.admin_site.each_context(request),
            "title": "Work on several findings",
            "opts": self.model._meta,
            "form": form,
            "findings": queryset[:20],
            "count": count,
            "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "across": request.POST.get("select_across", "0"),
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/gates/finding/assign.html", context)

    @admin.display(description="target")
    def target(self, row: Finding) -> str:
        return str(row.run.campaign.target)

    @admin.display(description="times before", ordering="before")
    def times_before(self, row: Any) -> int:
        return row.before or 0

    @admin.display(description="keys")
    def keys(self, row: Finding) -> SafeString | str:
        pairs = ((name.replace("_", " "), value) for name, value in row.where.items())
        return format_html_join("", "<div>{}: {}</div>", pairs) or "–"

    @admin.display(description="in the portal")
    def page(self, row: Finding) -> SafeString:
        return format_html('<a href="{}">finding {} with the rows around it</a>', row.get_absolute_url(), row.pk)

    @admin.display(description="earlier selves")
    def earlier(self, row: Finding) -> SafeString | str:
        lines = (
            (
                reverse("admin:gates_finding_change", args=[one.pk]),
                one.pk,
                one.run_id,
                one.state,
                one.cause or "no cause",
            )
            for one in earlier_selves(row)
        )
        return format_html_join("", '<div><a href="{}">finding {}</a> in run {}: {} · {}</div>', lines) or "none"

    @admin.display(description="who changed what")
    def changes(self, row: Finding) -> SafeString | str:
        lines = (
            (
                change.at.strftime("%Y-%m-%d %H:%M:%S"),
                change.who,
                ", ".join(f"{name.replace('_', ' ')}: {value or 'emptied'}" for name, value in change.shown),
            )
            for change in changes_of(row)
        )
        return format_html_join("", "<div>{} UTC, <strong>{}</strong> · {}</div>", lines) or "none yet"


def _unexplained(chosen: QuerySet[Finding], given: dict[str, Any]) -> str:
    """Say why these cannot be explained: the database demands a cause."""
    if given.get("state") != Finding.State.EXPLAINED or given.get("cause"):
        return ""
    without = chosen.filter(cause="").count()
    return f"Say the cause: {without} of them have none, and without it nothing is explained." if without else ""


@admin.register(FindingChange)
class FindingChangeAdmin(EvidenceAdmin):
    """The history itself: append-only."""

    list_display = ("pgh_created_at", "pgh_obj_id", "state", "owner", "cause", "fix", "prevention_test")
    list_filter = ("state",)
    list_select_related = ("owner",)
