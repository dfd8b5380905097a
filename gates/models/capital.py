"""Live capital: the plan that limits it, and gate 4's own facts about its run."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.urls import reverse

from gates.models.campaigns import Campaign, Run
from gates.models.keeping import NEVER_EMPTIED

TERMS = ("amount", "instruments", "order_size", "orders_per_minute", "daily_loss", "total_loss", "ends_on")
PROPOSED = ("campaign", *TERMS, "reason", "rehearsal", "proposed_by", "proposed_at")


class CapitalPlan(models.Model):
    """How much real money a build may use, and what it may do with it: proposed by one person, approved by another.

    Terms never change: another plan is proposed instead. `rehearsal` marks the plan that a rehearsal makes for itself;
    it needs no people and can never belong to a production campaign.
    """

    class State(models.TextChoices):
        PROPOSED = "proposed"
        APPROVED = "approved"
        REFUSED = "refused"
        WITHDRAWN = "withdrawn"

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="capital_plans")
    amount = models.DecimalField(max_digits=8, decimal_places=2)
    instruments = models.JSONField()
    order_size = models.DecimalField(max_digits=14, decimal_places=4)
    orders_per_minute = models.PositiveSmallIntegerField()
    daily_loss = models.DecimalField(max_digits=8, decimal_places=2)
    total_loss = models.DecimalField(max_digits=8, decimal_places=2)
    ends_on = models.DateField()
    reason = models.TextField(blank=True)
    rehearsal = models.BooleanField(default=False)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()
    state = models.CharField(max_length=9, choices=State, default=State.PROPOSED)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    decision = models.TextField(blank=True)

    class Meta:
        ordering = ["-proposed_at", "-pk"]
        permissions = [
            ("propose_capital", "Can propose a capital plan"),
            ("approve_capital", "Can approve or refuse a capital plan"),
            ("stop_target", "Can run a target's stop command"),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gte=100, amount__lte=500), name="capital_is_small"),
            models.CheckConstraint(
                condition=models.Q(order_size__gt=0, orders_per_minute__gte=1, orders_per_minute__lte=600),
                name="orders_are_limited",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    daily_loss__gt=0,
                    daily_loss__lte=models.F("total_loss"),
                    total_loss__lte=models.F("amount"),
                ),
                name="losses_are_limited",
            ),
            models.CheckConstraint(condition=~models.Q(instruments=[]), name="instruments_are_named"),
            models.CheckConstraint(
                condition=models.Q(rehearsal=True) | models.Q(proposed_by__isnull=False), name="a_plan_has_a_proposer"
            ),
            models.CheckConstraint(
                condition=models.Q(state="proposed", decided_by=None, decided_at=None)
                | (~models.Q(state="proposed") & models.Q(decided_at__isnull=False, decided_by__isnull=False))
                | models.Q(rehearsal=True, state="approved", decided_by=None),
                name="a_decision_has_a_person",
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=["approved", "refused"], decided_by=models.F("proposed_by")),
                name="another_person_decides",
            ),
            models.UniqueConstraint(
                fields=["campaign"], condition=models.Q(state="approved"), name="one_approved_plan_per_campaign"
            ),
        ]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="capital_no_delete", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(name="capital_terms_stay", fields=list(PROPOSED)),
            pgtrigger.Protect(
                name="capital_decided_stays",
                operation=pgtrigger.Update,
                condition=~pgtrigger.Q(old__state="proposed"),
            ),
            pgtrigger.Trigger(
                name="capital_rehearsed_only_in_rehearsals",
                operation=pgtrigger.Insert,
                when=pgtrigger.Before,
                condition=pgtrigger.Q(new__rehearsal=True),
                func="IF (SELECT profile FROM gates_campaign WHERE id = NEW.campaign_id) = 'production' THEN "
                "RAISE EXCEPTION 'a production campaign needs a plan of people'; END IF; RETURN NEW;",
            ),
        ]

    def __str__(self) -> str:
        return f"plan {self.pk} for {self.campaign}"

    def get_absolute_url(self) -> str:
        return reverse("gates:capital_plan", args=[self.pk])


class LiveRun(models.Model):
    """What one month of gate 4 rests on: its plan, where it trades, and the month before it that was broken.

    `rehearsed` holds the figures of gate 1, against which this month's are shown.
    """

    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="live")
    plan = models.ForeignKey(CapitalPlan, on_delete=models.PROTECT, related_name="months")
    month = models.PositiveSmallIntegerField(default=1)
    previous = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="next")
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    counted = models.BooleanField()
    not_counted_because = models.TextField(blank=True)
    environment = models.CharField(max_length=30)
    rehearsed = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["plan", "month"], name="a_month_has_one_run"),
            models.CheckConstraint(
                condition=models.Q(month=1, previous=None) | models.Q(month__gt=1, previous__isnull=False),
                name="a_later_month_follows_one",
            ),
            models.CheckConstraint(
                condition=models.Q(counted=True, not_counted_because="")
                | (models.Q(counted=False) & ~models.Q(not_counted_because="")),
                name="a_month_says_why_it_does_not_count",
            ),
        ]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="live_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"month {self.month} of {self.plan}"
