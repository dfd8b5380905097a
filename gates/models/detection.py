"""The war test tested: rehearsals of planted defects, and what became of each."""

import pgtrigger
from django.db import models
from django.urls import reverse

from gates.models.keeping import NEVER_EMPTIED


class Rehearsal(models.Model):
    """One rehearsal: the defects that were asked for, and what was found on the clean desk in the same places.

    `build` names the war test's own code. `clean_findings` is null until the clean desk was judged; `clean_silent` says
    in words what could not be.
    """

    build = models.CharField(max_length=16)
    asked = models.JSONField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    clean_strikes = models.PositiveIntegerField(default=0)
    clean_findings = models.JSONField(null=True)
    clean_silent = models.JSONField(default=list)

    class Meta:
        ordering = ["-started_at", "-pk"]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="rehearsal_no_delete", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(name="rehearsal_asked_stays", fields=["build", "asked", "started_at"]),
            pgtrigger.Protect(
                name="rehearsal_ended_stays",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__ended_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"rehearsal {self.pk}"

    @property
    def clean_verdict(self) -> str:
        """`passed` when the clean desk was judged everywhere and nothing was found."""
        if self.clean_findings:
            return "failed"
        return "inconclusive" if self.clean_findings is None or self.clean_silent or not self.ended_at else "passed"


class RehearsedDefect(models.Model):
    """What became of one planted defect: its outcome, by which strike, and everything to follow it down to the rows.

    `strikes` were made of the `planned` ones that there are at the operations struck. `strike` holds scenario,
    operation, point, label, fault and those of the second strike; `result` receipt, changes, messages, log, end and
    recovery_ms. Both are empty for a defect that was provoked by hand.
    """

    class Outcome(models.TextChoices):
        CAUGHT = "caught"
        OTHER_REASON = "caught for another reason"
        MISSED = "missed"
        NOT_SHOWN = "not shown"

    rehearsal = models.ForeignKey(Rehearsal, on_delete=models.PROTECT, related_name="defects")
    defect = models.CharField(max_length=60)
    gate = models.PositiveSmallIntegerField()
    outcome = models.CharField(max_length=30, choices=Outcome)
    expected = models.JSONField()
    findings = models.JSONField()
    where = models.TextField(blank=True)
    reason = models.TextField(blank=True)
    strikes = models.PositiveIntegerField(default=0)
    planned = models.PositiveIntegerField(default=0)
    strike = models.JSONField(default=dict)
    result = models.JSONField(default=dict)
    took_s = models.FloatField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["defect", "-at"], name="rehearsed_by_defect")]
        constraints = [
            models.UniqueConstraint(fields=["rehearsal", "defect"], name="a_defect_once_in_a_rehearsal"),
            models.CheckConstraint(
                condition=~models.Q(outcome="caught", findings=[]), name="no_defect_is_caught_without_a_finding"
            ),
        ]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="rehearsed_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.defect}: {self.outcome}"

    def get_absolute_url(self) -> str:
        return reverse("gates:defect", args=[self.defect])
