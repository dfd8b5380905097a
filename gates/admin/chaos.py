"""Gate 2's rows in the admin: evidence, to be looked at."""

from django.contrib import admin

from gates.admin.evidence import EvidenceAdmin
from gates.models import ChaosRun, CrashPoint, Heal, OperationBaseline, ScenarioRun


@admin.register(ChaosRun)
class ChaosRunAdmin(EvidenceAdmin):
    list_display = ("run_id", "counted", "mode", "started_by", "trouble")
    list_filter = ("counted", "mode")
    list_select_related = ("started_by",)


@admin.register(ScenarioRun)
class ScenarioRunAdmin(EvidenceAdmin):
    list_display = ("run_id", "number", "name", "phase", "reason")
    list_filter = ("name", "phase")


@admin.register(OperationBaseline)
class OperationBaselineAdmin(EvidenceAdmin):
    list_display = ("scenario_id", "operation", "took_ms", "recorded_at")
    list_filter = ("operation",)


@admin.register(CrashPoint)
class CrashPointAdmin(EvidenceAdmin):
    list_display = ("pk", "scenario_id", "number", "operation", "label", "strike", "phase", "verdict", "reason")
    list_filter = ("verdict", "phase", "operation", "strike")
    search_fields = ("label", "point", "reason")


@admin.register(Heal)
class HealAdmin(EvidenceAdmin):
    list_display = ("crash_point_id", "fault", "written_at", "due_at", "healed_at", "healed_by", "undone_by_id")
    list_filter = ("fault",)
