"""Rehearsed defects in the admin: to look at, and nothing else."""

from django.contrib import admin

from gates.admin.evidence import EvidenceAdmin
from gates.models import Rehearsal, RehearsedDefect


@admin.register(Rehearsal)
class RehearsalAdmin(EvidenceAdmin):
    list_display = ("pk", "build", "started_at", "ended_at", "clean_verdict")


@admin.register(RehearsedDefect)
class RehearsedDefectAdmin(EvidenceAdmin):
    list_display = ("defect", "gate", "outcome", "where", "strikes", "took_s", "at")
    list_filter = ("outcome", "gate")
    search_fields = ("defect",)
