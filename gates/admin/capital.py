"""The admin of gate 4: plans and months, to look at only."""

from django.contrib import admin

from gates.admin.evidence import EvidenceAdmin
from gates.models import CapitalPlan, LiveRun


@admin.register(CapitalPlan)
class CapitalPlanAdmin(EvidenceAdmin):
    list_display = ("pk", "campaign_id", "amount", "state", "proposed_by", "decided_by", "decided_at", "rehearsal")
    list_filter = ("state", "rehearsal")
    list_select_related = ("proposed_by", "decided_by")


@admin.register(LiveRun)
class LiveRunAdmin(EvidenceAdmin):
    list_display = ("run_id", "plan_id", "month", "environment", "counted", "started_by")
    list_filter = ("counted", "environment")
    list_select_related = ("started_by",)
