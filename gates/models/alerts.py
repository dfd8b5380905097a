"""Alerts and what became of them. How an alert moves is the database's: open, acknowledged, resolved, open again.

It is acknowledged by a person in words, and resolved by a re-check that was clean after the last time it happened.
"""

import pgtrigger
from django.conf import settings
from django.db import models
from django.urls import reverse

from gates.models.campaigns import Run, Target
from gates.models.keeping import NEVER_EMPTIED
from gates.models.signoff import APPEND_ONLY
from gates.models.slots import LEVELS

MOVES = """
    IF (OLD.target_id, OLD.run_id, OLD.rule, OLD.event_at, OLD.raised_at)
            IS DISTINCT FROM (NEW.target_id, NEW.run_id, NEW.rule, NEW.event_at, NEW.raised_at) THEN
        RAISE EXCEPTION 'alert %: what it is about and when it was raised stay', OLD.id;
    ELSIF NEW.count < OLD.count OR NEW.last_at < OLD.last_at THEN
        RAISE EXCEPTION 'alert %: what has happened is not taken back', OLD.id;
    ELSIF OLD.delivered_at IS NOT NULL AND NEW.delivered_at IS DISTINCT FROM OLD.delivered_at THEN
        RAISE EXCEPTION 'alert %: it was delivered first when it was', OLD.id;
    ELSIF NEW.openings = OLD.openings AND (NEW.level, NEW.deadline_at) <> (OLD.level, OLD.deadline_at) THEN
        RAISE EXCEPTION 'alert %: level and deadline stay until it opens again', OLD.id;
    ELSIF NEW.openings <> OLD.openings THEN
        IF NEW.state <> 'open' OR NEW.openings <> OLD.openings + 1 THEN
            RAISE EXCEPTION 'alert %: only an alert that opens again is counted as that', OLD.id;
        END IF;
    ELSIF OLD.state = 'resolved' AND (NEW.state <> 'resolved' OR (NEW.count, NEW.last_at, NEW.recheck)
            IS DISTINCT FROM (OLD.count, OLD.last_at, OLD.recheck)
            OR (NEW.resolved_at, NEW.rechecked_at) IS DISTINCT FROM (OLD.resolved_at, OLD.rechecked_at)) THEN
        RAISE EXCEPTION 'alert %: what is resolved stays so until it opens again', OLD.id;
    ELSIF (OLD.state, NEW.state) = ('acknowledged', 'open') THEN
        RAISE EXCEPTION 'alert %: an acknowledgement is not taken back', OLD.id;
    ELSIF (OLD.state, NEW.state) = ('open', 'acknowledged') AND NOT EXISTS (
            SELECT 1 FROM gates_alertstep WHERE alert_id = OLD.id AND kind = 'acknowledged'
            AND opening = OLD.openings AND person_id IS NOT NULL AND words <> '') THEN
        RAISE EXCEPTION 'alert %: it is acknowledged by a person, in words', OLD.id;
    ELSIF OLD.state <> 'resolved' AND NEW.state = 'resolved' AND NOT (NEW.rechecked_at > OLD.last_at) THEN
        RAISE EXCEPTION 'alert %: it happened again after that re-check', OLD.id;
    END IF;
    RETURN NEW;
"""


class Alert(models.Model):
    """An event with a deadline. While one of a rule is not resolved on a run, repetitions fold into it.

    Without a run it is about the target, without a target about the portal itself. `event_at` is when it first
    happened by the clock of whoever told it, `last_at` when we last saw it happen, `count` how often that was. `cause`
    holds keys to what it rests on, for instance `slot`, `finding`, `order_id`. `openings` rises when the same comes
    back, soon after it was resolved, or gets worse: level and deadline are those of this opening.
    """

    class State(models.TextChoices):
        OPEN = "open"
        ACKNOWLEDGED = "acknowledged"
        RESOLVED = "resolved"

    target = models.ForeignKey(Target, null=True, on_delete=models.PROTECT, related_name="alerts")
    run = models.ForeignKey(Run, null=True, on_delete=models.PROTECT, related_name="alerts")
    rule = models.CharField(max_length=100)
    level = models.CharField(max_length=8, choices=LEVELS)
    sentence = models.TextField()
    cause = models.JSONField(default=dict)
    threshold = models.TextField(blank=True)
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    openings = models.PositiveIntegerField(default=1)
    count = models.PositiveBigIntegerField(default=1)
    event_at = models.DateTimeField()
    raised_at = models.DateTimeField()
    last_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField()
    step_at = models.DateTimeField(null=True)  # when its deadline is looked at next
    escalated_to = models.CharField(max_length=50, blank=True)
    recheck = models.TextField(blank=True)
    rechecked_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["deadline_at"]
        permissions = [("acknowledge_alert", "Can acknowledge an alert")]
        constraints = [
            models.UniqueConstraint(
                fields=["target", "run", "rule"],
                condition=~models.Q(state="resolved"),
                nulls_distinct=False,
                name="one_open_alert_per_rule",
            ),
            models.CheckConstraint(
                condition=models.Q(~models.Q(recheck=""), state="resolved", rechecked_at__isnull=False)
                & models.Q(resolved_at__isnull=False)
                | models.Q(~models.Q(state="resolved"), recheck="", rechecked_at=None, resolved_at=None),
                name="an_alert_is_resolved_by_a_clean_re_check",
            ),
            models.CheckConstraint(condition=models.Q(count__gte=1), name="an_alert_happened_at_least_once"),
        ]
        indexes = [
            models.Index(fields=["rule", "raised_at"], name="alerts_of_a_rule"),
            models.Index(fields=["step_at"], condition=~models.Q(state="resolved"), name="alerts_with_a_step_to_come"),
        ]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="alert_no_delete", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="alert_begins", operation=pgtrigger.Insert, condition=~pgtrigger.Q(new__state="open")
            ),
            pgtrigger.Trigger(name="alert_moves", operation=pgtrigger.Update, when=pgtrigger.Before, func=MOVES),
        ]

    def __str__(self) -> str:
        return self.sentence

    def get_absolute_url(self) -> str:
        return reverse("gates:alert", args=[self.pk])


class RuleWatch(models.Model):
    """What one rule says of a run now: firing, clean, or not judged and why. Written down by the stream process.

    `clean_at` is when the last look began that was clean, by our clock.
    """

    class State(models.TextChoices):
        FIRING = "firing"
        CLEAN = "clean"
        NOT_JUDGED = "not judged"

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="rule_watches")
    rule = models.CharField(max_length=100)
    state = models.CharField(max_length=10, choices=State)
    words = models.TextField(blank=True)
    looked_at = models.DateTimeField()
    clean_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["run", "pk"]
        constraints = [models.UniqueConstraint(fields=["run", "rule"], name="one_word_of_a_rule_about_a_run")]

    def __str__(self) -> str:
        return f"{self.rule}: {self.state}"


class AlertStep(models.Model):
    """One line of an alert's history. `count` and `opening` are the alert's at that time."""

    class Kind(models.TextChoices):
        RAISED = "raised"
        FOLDED = "folded"
        ACKNOWLEDGED = "acknowledged"
        REMINDED = "reminded"
        ESCALATED = "escalated"
        RESOLVED = "resolved"
        REOPENED = "reopened"

    alert = models.ForeignKey(Alert, on_delete=models.PROTECT, related_name="steps")
    at = models.DateTimeField()
    kind = models.CharField(max_length=12, choices=Kind)
    opening = models.PositiveIntegerField()
    count = models.PositiveBigIntegerField()
    person = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    words = models.TextField(blank=True)

    class Meta:
        ordering = ["at", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(kind="acknowledged") | models.Q(~models.Q(words=""), person__isnull=False),
                name="a_person_acknowledges_in_words",
            )
        ]
        triggers = [*APPEND_ONLY]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%Y-%m-%dT%H:%M:%SZ}"
