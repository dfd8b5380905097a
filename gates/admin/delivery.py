"""Routes, messages and drills: for looking only. A drill's code is not shown: it proves that its message came."""

from django.contrib import admin

from gates.admin.evidence import EvidenceAdmin
from gates.models import Delivery, Drill, DrillAnswer, Route, RouteChange


@admin.register(Route)
class RouteAdmin(EvidenceAdmin):
    list_display = ("name", "address", "levels", "roles", "active", "failures", "trouble", "last_delivered_at")
    list_filter = ("active",)


@admin.register(RouteChange)
class RouteChangeAdmin(EvidenceAdmin):
    list_display = ("pgh_created_at", "pgh_label", "name", "address", "levels", "active", "pgh_context")


@admin.register(Delivery)
class DeliveryAdmin(EvidenceAdmin):
    exclude = ("code",)
    list_display = ("key", "route", "occasion", "level", "state", "attempts", "cut_at", "delivered_at", "last_error")
    list_filter = ("state", "occasion", "level", "route")
    list_select_related = ("route",)
    search_fields = ("key",)


@admin.register(Drill)
class DrillAdmin(EvidenceAdmin):
    list_display = ("started_at", "started_by", "routes")
    list_select_related = ("started_by",)


@admin.register(DrillAnswer)
class DrillAnswerAdmin(EvidenceAdmin):
    list_display = ("at", "delivery", "person")
    list_select_related = ("delivery__route", "person")
