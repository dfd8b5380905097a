"""What the stream process keeps: who holds the streams, how each one is, and where it was cut."""

import pgtrigger
from django.db import models

from gates.models.campaigns import Run
from gates.models.keeping import NEVER_EMPTIED


class StreamLease(models.Model):
    """Who holds the streams of this portal. One row; a second process waits until the lease is over."""

    name = models.CharField(max_length=20, primary_key=True)
    holder = models.CharField(max_length=100)
    lease_until = models.DateTimeField()
    attempt = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"streams held by {self.holder}"


class Stream(models.Model):
    """One stream of a run, as it was when it was last written down (about once a second)."""

    class Kind(models.TextChoices):
        PRICES = "prices"
        TRANSACTIONS = "transactions"

    class State(models.TextChoices):
        WAITING = "waiting"
        CONNECTED = "connected"
        ENDED = "ended"

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="streams")
    kind = models.CharField(max_length=12, choices=Kind)
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    reason = models.TextField(blank=True)
    last_line_at = models.DateTimeField(null=True)
    last_id = models.BigIntegerField(null=True)
    lines = models.BigIntegerField(default=0)
    unreadable = models.BigIntegerField(default=0)
    repeated = models.BigIntegerField(default=0)
    connections = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["run", "kind"]
        constraints = [models.UniqueConstraint(fields=["run", "kind"], name="one_stream_of_a_kind")]

    def __str__(self) -> str:
        return f"{self.kind} of run {self.run_id}: {self.state}"


class StreamGap(models.Model):
    """What a stream did not tell. Transactions are read again (`repaired`); prices that are gone stay gone."""

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="stream_gaps")
    kind = models.CharField(max_length=12, choices=Stream.Kind)
    since = models.DateTimeField()
    until = models.DateTimeField()
    first_id = models.BigIntegerField(null=True)
    last_id = models.BigIntegerField(null=True)
    repaired = models.BooleanField()
    sentence = models.TextField()

    class Meta:
        ordering = ["since", "pk"]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="gap_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(until__gte=models.F("since")), name="a_gap_takes_time")
        ]

    def __str__(self) -> str:
        return self.sentence
