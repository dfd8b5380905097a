"""Decisions in the admin: to be looked at; they are made on the sign-off page alone."""

from django.contrib import admin

from gates.admin.evidence import EvidenceAdmin
from gates.models import CodeReview, SignOff


@admin.register(SignOff)
class SignOffAdmin(EvidenceAdmin):
    list_display = ("campaign_id", "stage", "number", "role", "person", "decision", "at", "evidence_sha256")
    list_filter = ("stage", "role", "decision")
    list_select_related = ("person",)
    search_fields = ("statement", "evidence_sha256", "build")


@admin.register(CodeReview)
class CodeReviewAdmin(EvidenceAdmin):
    list_display = ("campaign_id", "reviewer", "accepted", "build", "at")
    list_filter = ("accepted",)
    list_select_related = ("reviewer",)
