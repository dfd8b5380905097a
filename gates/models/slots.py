"""Slots and their results: evidence, so a result is append-only in the database."""

import pgtrigger
from django.db import models
from django.urls import reverse

from gates.models.campaigns import VERDICTS, Run
from gates.models.keeping import NEVER_EMPTIED

LEVELS = [("critical", "critical"), ("high", "high"), ("medium", "medium")]


class Slot(models.Model):
    """One check due at one time in one run; all are cut when the run starts.

    The slot judges the half-open window [window_start, window_end). It is claimed by a conditional update on its own
    columns, with a lease and an attempt number that a late writer must still hold.
    """

    class State(models.TextChoices):
        DUE = "due"
        DONE = "done"
        HOLE = "hole"

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="slots")
    check_name = models.CharField(max_length=32)
    window_start = models.DateTimeField()
    window_end = models.DateTimeField()
    due_at = models.DateTimeField()
    grace_until = models.DateTimeField()
    state = models.CharField(max_length=4, choices=State, default=State.DUE)
    verdict = models.CharField(max_length=12, choices=VERDICTS, null=True)
    lease_until = models.DateTimeField(null=True)
    attempt = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering = ["due_at", "check_name"]
        constraints = [
            models.UniqueConstraint(fields=["run", "check_name", "due_at"], name="one_slot_per_check_and_time"),
            models.CheckConstraint(
                condition=models.Q(state="due", verdict=None)
                | models.Q(state="done", verdict__isnull=False)
                | models.Q(state="hole", verdict="inconclusive"),
                name="a_hole_is_inconclusive",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="slots_still_due", condition=models.Q(state="due")),
            models.Index(fields=["run"], name="runs_with_slots_due", condition=models.Q(state="due")),
            models.Index(fields=["run"], name="holes_of_runs", condition=models.Q(state="hole")),
        ]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="slot_no_delete", operation=pgtrigger.Delete),
            pgtrigger.FSM(name="slot_moves", field="state", transitions=[("due", "done"), ("due", "hole")]),
        ]

    def __str__(self) -> str:
        return f"{self.check_name} at {self.due_at:%Y-%m-%dT%H:%M:%SZ}"

    def get_absolute_url(self) -> str:
        return reverse("gates:slot", args=[self.pk])


class SlotResult(models.Model):
    """What one slot saw: values, verdict and the reason in words."""

    slot = models.OneToOneField(Slot, on_delete=models.PROTECT, related_name="result")
    attempt = models.PositiveIntegerField()
    verdict = models.CharField(max_length=12, choices=VERDICTS)
    reason = models.TextField(blank=True)
    measured = models.JSONField(default=dict)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()

    class Meta:
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="result_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.slot}: {self.verdict}"
