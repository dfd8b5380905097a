"""The admin: for looking at rows. What is evidence cannot be added, changed or deleted there."""

from django.contrib import admin

from gates.admin import campaigns, capital, chaos, delivery, detection, findings, signoff, streams
from gates.admin.evidence import EvidenceAdmin
from gates.models import (
    Alert,
    AlertStep,
    Beat,
    Campaign,
    LedgerAudit,
    Preflight,
    Report,
    Run,
    RunEvent,
    Slot,
    SlotResult,
    Target,
    Verification,
)


@admin.register(Target)
class TargetAdmin(EvidenceAdmin):
    """Its description names secrets and holds none. What ran against it must stay what it was."""

    list_display = ("name", "created_at")
    search_fields = ("name",)


@admin.register(Campaign)
class CampaignAdmin(EvidenceAdmin):
    list_display = ("pk", "target", "profile", "state", "verdict", "build", "started_by", "started_at", "ended_at")
    list_filter = ("profile", "state", "verdict", "target")
    list_select_related = ("target", "started_by")


@admin.register(Run)
class RunAdmin(EvidenceAdmin):
    list_display = ("pk", "campaign", "gate", "state", "verdict", "planned_start", "planned_end", "closed_at")
    list_filter = ("gate", "state", "verdict")
    list_select_related = ("campaign__target",)


@admin.register(Slot)
class SlotAdmin(EvidenceAdmin):
    list_display = ("pk", "run_id", "check_name", "due_at", "state", "verdict", "attempt", "worker")
    list_filter = ("check_name", "state", "verdict")


@admin.register(SlotResult)
class SlotResultAdmin(EvidenceAdmin):
    list_display = ("slot_id", "verdict", "reason", "attempt", "started_at", "finished_at")
    list_filter = ("verdict",)


@admin.register(RunEvent)
class RunEventAdmin(EvidenceAdmin):
    list_display = ("at", "run_id", "kind", "level", "sentence")
    list_filter = ("kind", "level")
    search_fields = ("sentence",)


@admin.register(Alert)
class AlertAdmin(EvidenceAdmin):
    list_display = ("rule", "level", "state", "target", "run_id", "count", "raised_at", "deadline_at", "sentence")
    list_filter = ("state", "level", "rule")
    list_select_related = ("target",)
    search_fields = ("sentence",)


@admin.register(AlertStep)
class AlertStepAdmin(EvidenceAdmin):
    list_display = ("at", "alert_id", "kind", "count", "person", "words")
    list_filter = ("kind",)
    list_select_related = ("person",)


@admin.register(Report)
class ReportAdmin(EvidenceAdmin):
    list_display = ("file_name", "kind", "verdict", "run_id", "sha256", "created_at")
    list_filter = ("kind", "verdict")
    search_fields = ("file_name", "sha256")


@admin.register(LedgerAudit)
class LedgerAuditAdmin(EvidenceAdmin):
    list_display = ("run_id", "phase", "counted", "started_by", "doing", "manifest_sha256")
    list_filter = ("phase", "counted")
    list_select_related = ("started_by",)


@admin.register(Verification)
class VerificationAdmin(EvidenceAdmin):
    list_display = ("at", "campaign", "verdict", "by", "took_s")
    list_filter = ("verdict",)
    list_select_related = ("campaign__target", "by")


@admin.register(Preflight)
class PreflightAdmin(EvidenceAdmin):
    list_display = ("at", "target", "met", "took_s")
    list_filter = ("met",)
    list_select_related = ("target",)


@admin.register(Beat)
class BeatAdmin(EvidenceAdmin):
    list_display = ("kind", "last_at")


__all__ = ["campaigns", "capital", "chaos", "delivery", "detection", "findings", "signoff", "streams"]
