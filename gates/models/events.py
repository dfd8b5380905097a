"""What happened around a run: events, heartbeats of our own processes, reports."""

import pgtrigger
from django.db import models
from django.db.models.fields.json import KT
from django.urls import reverse

from gates.models.campaigns import VERDICTS, Campaign, Run
from gates.models.keeping import NEVER_EMPTIED
from gates.models.slots import LEVELS


class RunEvent(models.Model):
    """One line of a run's log. A person's hand (`intervention`) fails the run."""

    class Kind(models.TextChoices):
        STARTED = "started"
        TARGET_DIED = "target died"
        TARGET_BACK = "target back"
        HOLE = "hole"
        INTERVENTION = "intervention"
        CLOSED = "closed"
        STOP = "stop"

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=20, choices=Kind)
    level = models.CharField(max_length=8, choices=LEVELS, blank=True)
    sentence = models.TextField()

    class Meta:
        ordering = ["at", "pk"]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="event_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return self.sentence


class Beat(models.Model):
    """When each kind of our own processes was last seen alive."""

    kind = models.CharField(max_length=20, primary_key=True)
    last_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.kind} at {self.last_at:%H:%M:%S}"


class Report(models.Model):
    """A link of the portal's chain, as written to the reports folder: the sealed report of a run or of a campaign.

    The one other kind of link records that the signing key was replaced; it belongs to no campaign and proves nothing.
    """

    ROTATION = "key-rotation"

    run = models.OneToOneField(Run, null=True, on_delete=models.PROTECT, related_name="report")
    campaign = models.ForeignKey(Campaign, null=True, on_delete=models.PROTECT, related_name="reports")
    kind = models.CharField(max_length=30)
    verdict = models.CharField(max_length=12, choices=VERDICTS)
    content = models.JSONField()
    sha256 = models.CharField(max_length=64)
    previous = models.GeneratedField(
        expression=KT("content__seal__previous"), output_field=models.TextField(null=True), db_persist=True
    )
    signed_by = models.GeneratedField(
        expression=KT("content__seal__signed_by"), output_field=models.TextField(null=True), db_persist=True
    )
    signature = models.GeneratedField(
        expression=KT("content__seal__signature"), output_field=models.TextField(null=True), db_persist=True
    )
    file_name = models.CharField(max_length=100)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["file_name"], name="one_report_per_file"),
            models.UniqueConstraint(models.F("content__seal__previous"), name="one_report_follows_another"),
            models.UniqueConstraint(
                fields=["campaign", "kind"], condition=models.Q(run=None), name="one_report_of_a_kind_per_campaign"
            ),
            models.CheckConstraint(
                condition=models.Q(campaign__isnull=False) | models.Q(kind="key-rotation", run=None),
                name="a_report_is_of_a_campaign",
            ),
        ]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="report_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return self.file_name

    def get_absolute_url(self) -> str:
        return reverse("gates:report", args=[self.run_id]) if self.run_id else reverse("gates:sealed", args=[self.pk])
