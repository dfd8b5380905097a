"""Incidents, proofs and reviews in the admin: to be seen. Their steps are taken on their pages, by those who may."""

from django.contrib import admin

from gates.admin.evidence import EvidenceAdmin
from gates.models import AtRest, Incident, IncidentFinding, Proof, Review
from gates.models.incidents import IncidentChange


@admin.register(Incident)
class IncidentAdmin(EvidenceAdmin):
    list_display = ("pk", "campaign_id", "state", "opened_at", "fixed_build", "fixed_by", "approved_by")
    list_filter = ("state",)


@admin.register(IncidentChange)
class IncidentChangeAdmin(EvidenceAdmin):
    list_display = ("pgh_created_at", "pgh_obj_id", "state", "fixed_build")


@admin.register(IncidentFinding)
class IncidentFindingAdmin(EvidenceAdmin):
    list_display = ("incident_id", "finding_id")


@admin.register(Proof)
class ProofAdmin(EvidenceAdmin):
    list_display = ("pk", "incident_id", "test", "build", "state", "verdict", "exit_code", "asked_by", "asked_at")
    list_filter = ("state", "verdict")


@admin.register(Review)
class ReviewAdmin(EvidenceAdmin):
    list_display = ("run_id", "number", "opens_at", "due_at", "person", "done_at", "words")


@admin.register(AtRest)
class AtRestAdmin(EvidenceAdmin):
    list_display = ("run_id", "relation", "rows", "seen_at")
    exclude = ("keys", "contents")
