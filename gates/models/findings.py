"""Findings: what was found stays as it was found; what people make of it may change, and every change is kept."""

import pghistory
import pgtrigger
from django.conf import settings
from django.db import models
from django.urls import reverse

from gates.models.campaigns import Run
from gates.models.keeping import NEVER_EMPTIED
from gates.models.slots import LEVELS, Slot

TRIAGE = ("state", "owner", "cause", "fix", "prevention_test")


@pghistory.track(
    pghistory.UpdateEvent(condition=pghistory.AnyChange(*TRIAGE)),
    fields=list(TRIAGE),
    model_name="FindingChange",
    obj_field=pghistory.ObjForeignKey(related_name="changes"),
    context_field=pghistory.ContextJSONField(),
    meta={"ordering": ["pgh_created_at", "pgh_id"], "triggers": [NEVER_EMPTIED]},
    append_only=True,
)
class Finding(models.Model):
    """One thing wrong, as `audits.findings.Finding`, with the slot that found it and what people make of it.

    Only the columns of `TRIAGE` may change; the database refuses every other update. Findings of one target with the
    same `fingerprint` are the same thing wrong at different times.
    """

    class State(models.TextChoices):
        TO_INVESTIGATE = "to investigate", "to investigate"
        TARGET_BUG = "target bug", "target bug"
        WAR_TEST_BUG = "war-test bug", "war-test bug"
        ENVIRONMENT = "environment", "environment"
        EXPLAINED = "explained", "explained"

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="findings")
    slot = models.ForeignKey(Slot, null=True, on_delete=models.PROTECT, related_name="findings")
    rule = models.CharField(max_length=100)
    level = models.CharField(max_length=8, choices=LEVELS)
    sentence = models.TextField()
    expected = models.TextField(blank=True)
    measured = models.TextField(blank=True)
    difference = models.TextField(blank=True)
    where = models.JSONField(default=dict)
    found_at = models.DateTimeField()
    fingerprint = models.CharField(max_length=64, blank=True, db_index=True)
    state = models.CharField(max_length=14, choices=State, default=State.TO_INVESTIGATE)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="findings"
    )
    cause = models.TextField(blank=True, help_text="Why it happened.")
    fix = models.TextField(blank=True, help_text="What was changed, and the build that has it.")
    prevention_test = models.TextField(blank=True, help_text="The test that failed before the fix and passes after.")

    class Meta:
        ordering = ["found_at", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    state__in=["to investigate", "target bug", "war-test bug", "environment", "explained"]
                ),
                name="a_finding_has_a_known_state",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="explained", cause=""),
                name="what_is_explained_has_a_cause",
                violation_error_message="Say the cause: without it nothing is explained.",
            ),
        ]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="finding_no_delete", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(name="finding_evidence_stays", exclude=list(TRIAGE)),
        ]

    def __str__(self) -> str:
        return self.sentence

    def get_absolute_url(self) -> str:
        return reverse("gates:finding", args=[self.pk])


FindingChange = Finding.pgh_event_model  # type: ignore[attr-defined]  # made by pghistory: who, when, what it then was
