"""Ledger audits: gate 3's own facts about its run."""

import pgtrigger
from django.conf import settings
from django.db import models

from gates.models.campaigns import Run
from gates.models.keeping import NEVER_EMPTIED

ASKED = ("run", "started_by", "counted", "not_counted_because", "only", "since")


class LedgerAudit(models.Model):
    """What was asked of an audit, whether it counts as gate 3, who works on it now, and what was sealed.

    The work is done by one process at a time: it holds the lease, and an attempt number that a late writer must still
    hold. `snapshot` keeps moment, sources and row counts of the sealed files for when the folder is gone.
    """

    class Phase(models.TextChoices):
        WAITING = "waiting", "waiting"
        READING = "reading", "reading the books"
        JUDGING = "judging", "judging"
        DONE = "done", "done"

    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="audit")
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    counted = models.BooleanField()
    not_counted_because = models.TextField(blank=True)
    only = models.JSONField(default=list)
    since = models.DateTimeField(null=True)
    phase = models.CharField(max_length=8, choices=Phase, default=Phase.WAITING)
    doing = models.TextField(blank=True)
    done_part = models.FloatField(default=0)
    lease_until = models.DateTimeField(null=True)
    attempt = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=100, blank=True)
    manifest_sha256 = models.CharField(max_length=64, blank=True)
    snapshot = models.JSONField(default=dict)

    class Meta:
        ordering = ["-run__planned_start"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(counted=True, not_counted_because="")
                | (models.Q(counted=False) & ~models.Q(not_counted_because="")),
                name="an_audit_says_why_it_does_not_count",
            ),
            models.CheckConstraint(
                condition=models.Q(counted=False) | models.Q(only=[], since=None), name="a_partial_audit_never_counts"
            ),
        ]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="audit_no_delete", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(name="audit_asked_stays", fields=list(ASKED)),
            pgtrigger.Protect(
                name="audit_seal_stays",
                operation=pgtrigger.Update,
                condition=~pgtrigger.Q(old__manifest_sha256="")
                & (
                    pgtrigger.Q(old__manifest_sha256__df=pgtrigger.F("new__manifest_sha256"))
                    | pgtrigger.Q(old__snapshot__df=pgtrigger.F("new__snapshot"))
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"audit of run {self.run_id}"

    @property
    def partial(self) -> bool:
        """Whether it looks at a part of the books or of the checks only."""
        return bool(self.only or self.since)
