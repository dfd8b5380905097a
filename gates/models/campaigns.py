"""Targets, campaigns and runs."""

from datetime import datetime

import pgtrigger
from django.conf import settings
from django.db import models
from django.urls import reverse

from audits.verdicts import Verdict

VERDICTS = [(verdict.value, verdict.value) for verdict in Verdict]
PROFILES = [("production", "production"), ("rehearsal", "rehearsal"), ("smoke", "smoke")]
GATES = [(1, "72-hour run"), (2, "Chaos"), (3, "Ledger audit"), (4, "Live capital")]


class Target(models.Model):
    """A trading system under test. `spec` names secrets as `env:NAME` and never holds one."""

    name = models.SlugField(unique=True)
    spec = models.JSONField()
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Campaign(models.Model):
    """One try at all four gates by one build of one target."""

    target = models.ForeignKey(Target, on_delete=models.PROTECT, related_name="campaigns")
    profile = models.CharField(max_length=12, choices=PROFILES)
    build = models.CharField(max_length=200)
    verdict = models.CharField(max_length=12, choices=VERDICTS, null=True)
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-started_at"]

    def __str__(self) -> str:
        return f"campaign {self.pk} of {self.target}"


class Run(models.Model):
    """One execution of a gate. `cursor` rises with every change, so that pages poll cheaply."""

    class State(models.TextChoices):
        RUNNING = "running"
        CLOSED = "closed"

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="runs")
    gate = models.PositiveSmallIntegerField(choices=GATES)
    state = models.CharField(max_length=8, choices=State, default=State.RUNNING)
    verdict = models.CharField(max_length=12, choices=VERDICTS, null=True)
    plan = models.JSONField()
    baseline = models.JSONField(default=dict)
    criteria = models.JSONField(default=list)
    planned_start = models.DateTimeField()
    planned_end = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    cursor = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["-planned_start"]
        permissions = [("start_run", "Can start a run")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state="running", verdict=None) | models.Q(state="closed", verdict__isnull=False),
                name="a_closed_run_has_a_verdict",
            ),
            models.CheckConstraint(
                condition=models.Q(planned_end__gt=models.F("planned_start")), name="a_run_takes_time"
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="no_delete", operation=pgtrigger.Delete),
            pgtrigger.FSM(name="moves", field="state", transitions=[("running", "closed")]),
            pgtrigger.Protect(
                name="plan_stays",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("campaign", "gate", "plan", "baseline", "planned_start", "planned_end"),
            ),
            pgtrigger.Protect(
                name="verdict_stays",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__state="closed")
                & (
                    pgtrigger.Q(old__verdict__df=pgtrigger.F("new__verdict"))
                    | pgtrigger.Q(old__criteria__df=pgtrigger.F("new__criteria"))
                    | pgtrigger.Q(old__closed_at__df=pgtrigger.F("new__closed_at"))
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"run {self.pk}: gate {self.gate} of {self.campaign}"

    def get_absolute_url(self) -> str:
        return reverse("gates:run", args=[self.pk])

    @property
    def is_open(self) -> bool:
        return self.state == self.State.RUNNING

    def progress(self, now: datetime) -> float:
        """Return the part of the planned time that has passed, 0 to 1."""
        planned_s = (self.planned_end - self.planned_start).total_seconds()
        return max(0.0, min(1.0, (now - self.planned_start).total_seconds() / planned_s))
