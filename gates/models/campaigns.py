"""Targets, campaigns and runs. Which gate may open, and how a campaign moves, is enforced by the database."""

from datetime import datetime

import pgtrigger
from django.conf import settings
from django.db import models
from django.urls import reverse

from audits.verdicts import Verdict
from gates.models.keeping import NEVER_EMPTIED

VERDICTS = [(verdict.value, verdict.value) for verdict in Verdict]
PROFILES = [("production", "production"), ("rehearsal", "rehearsal"), ("smoke", "smoke")]
GATES = [(1, "72-hour run"), (2, "Chaos"), (3, "Ledger audit"), (4, "Live capital")]

GATES_PASSED = """
    SELECT count(DISTINCT gate) INTO gates_passed FROM gates_run
        WHERE campaign_id = NEW.id AND gate <= 3 AND state = 'closed' AND verdict = 'passed';
    IF gates_passed < 3 THEN
        RAISE EXCEPTION 'campaign % is not ready: % of gates 1 to 3 have passed', NEW.id, gates_passed;
    END IF;
    RETURN NEW;
"""
# Of the decisions about live capital that stand, those for the evidence of the newest one count. Which roles must
# approve is a setting, and asked in `gates.signoff`; that it takes two people is not.
SIGNED_FIRST = """
    WITH standing AS (
        SELECT made.person_id, made.role, made.decision FROM gates_signoff made
            WHERE made.campaign_id = NEW.id AND made.stage = 'capital' AND made.build = NEW.build
            AND made.decision <> 'withdraw'
            AND NOT EXISTS (SELECT 1 FROM gates_signoff later WHERE later.withdraws_id = made.id)
            AND made.evidence_sha256 = (SELECT newest.evidence_sha256 FROM gates_signoff newest
                WHERE newest.campaign_id = NEW.id AND newest.stage = 'capital' ORDER BY newest.number DESC LIMIT 1))
    SELECT count(DISTINCT person_id) FILTER (WHERE decision = 'approve'), count(*) FILTER (WHERE decision = 'refuse')
        INTO approvals, refusals FROM standing;
    IF approvals < 2 OR refusals > 0 THEN
        RAISE EXCEPTION 'campaign % is not signed: % approved and % refused', NEW.id, approvals, refusals;
    END IF;
    RETURN NEW;
"""
IN_ORDER = """
    SELECT state INTO standing FROM gates_campaign WHERE id = NEW.campaign_id FOR SHARE;
    SELECT count(*), count(DISTINCT gate) FILTER (WHERE gate < NEW.gate AND state = 'closed' AND verdict = 'passed')
        INTO others, passed_before FROM gates_run WHERE campaign_id = NEW.campaign_id;
    IF standing <> (CASE WHEN NEW.gate = 4 AND others > 0 THEN 'live' ELSE 'running' END) THEN
        RAISE EXCEPTION 'gate % of campaign % stays shut: the campaign is %', NEW.gate, NEW.campaign_id, standing;
    END IF;
    IF others > 0 AND (NEW.gate = 1 OR passed_before < NEW.gate - 1) THEN
        RAISE EXCEPTION 'gate % of campaign % stays shut: gates open in order', NEW.gate, NEW.campaign_id;
    END IF;
    IF NEW.gate IN (2, 3) AND EXISTS (SELECT 1 FROM gates_run first WHERE first.campaign_id = NEW.campaign_id
            AND first.gate = 1 AND first.baseline->>'description' IS NOT NULL
            AND first.baseline->>'description' IS DISTINCT FROM NEW.baseline->>'description') THEN
        RAISE EXCEPTION 'gate % of campaign % stays shut: the description is not that of gate 1',
            NEW.gate, NEW.campaign_id;
    END IF;
    RETURN NEW;
"""
# What failed before the campaign that begins: of its target, or of whichever was on the same account of the broker.
FAILED = """
            SELECT 1 FROM gates_campaign mine JOIN gates_campaign failed
                ON failed.profile = mine.profile AND failed.verdict = 'failed' AND failed.id <> mine.id
            JOIN gates_run first ON first.campaign_id = failed.id AND first.gate = 1
                AND (failed.target_id = mine.target_id OR first.baseline->>'account' = NEW.baseline->>'account')
            LEFT JOIN gates_incident incident ON incident.campaign_id = failed.id
            WHERE mine.id = NEW.campaign_id AND mine.profile = 'production'""".strip()
AFTER_A_FAILURE = """
    IF NEW.gate = 1 AND EXISTS (
            FAILED AND coalesce(incident.state, '') NOT IN ('approved', 'restarted')) THEN
        RAISE EXCEPTION 'campaign % cannot begin: a failed one before it is not through its incident', NEW.campaign_id;
    END IF;
    IF NEW.gate = 1 AND EXISTS (
            FAILED AND failed.build = mine.build AND coalesce(incident.fixed_build, '') <> failed.build) THEN
        RAISE EXCEPTION 'campaign % cannot begin: its build is one that failed', NEW.campaign_id;
    END IF;
    IF NEW.gate = 1 AND EXISTS (
            SELECT 1 FROM gates_campaign mine JOIN gates_campaign before ON before.id = mine.previous_id
            WHERE mine.id = NEW.campaign_id AND mine.profile = 'production' AND before.verdict = 'inconclusive'
                AND mine.repeat_reason = '') THEN
        RAISE EXCEPTION 'campaign % cannot begin: it repeats an inconclusive one without a reason', NEW.campaign_id;
    END IF;
    RETURN NEW;
""".replace("FAILED", FAILED)

ON_EVIDENCE = """
    IF NOT EXISTS (SELECT 1 FROM gates_slot WHERE run_id = NEW.id) THEN
        RAISE EXCEPTION 'run % has not passed: it has no slot, so nothing was looked at', NEW.id;
    END IF;
    IF EXISTS (SELECT 1 FROM gates_slot slot LEFT JOIN gates_slotresult seen ON seen.slot_id = slot.id
            WHERE slot.run_id = NEW.id AND (slot.state <> 'done' OR slot.verdict = 'failed'
                OR slot.verdict = 'passed' AND seen.verdict IS DISTINCT FROM 'passed')) THEN
        RAISE EXCEPTION 'run % has not passed: a slot of it is open, missed, failed or without its result', NEW.id;
    END IF;
    RETURN NEW;
"""


class Target(models.Model):
    """A trading system under test. `spec` names secrets as `env:NAME` and never holds one.

    A removed one starts nothing any more; its row stays, since evidence names it.
    """

    name = models.SlugField(unique=True)
    spec = models.JSONField()
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)

    class Meta:
        triggers = [pgtrigger.Protect(name="target_no_delete", operation=pgtrigger.Delete)]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("gates:target", args=[self.name])


class Campaign(models.Model):
    """One try at all four gates by one build of one target.

    Its moves are the database's: `ready` needs passed runs of gates 1 to 3, only a production campaign waits for its
    signatures before it goes live, and who stopped it says why. A `whole` campaign opens its next gate by itself.
    """

    class State(models.TextChoices):
        RUNNING = "running"
        READY = "ready"
        APPROVED = "approved"
        LIVE = "live"
        ENDED = "ended"
        STOPPED = "stopped"

    target = models.ForeignKey(Target, on_delete=models.PROTECT, related_name="campaigns")
    profile = models.CharField(max_length=12, choices=PROFILES)
    build = models.CharField(max_length=200)
    state = models.CharField(max_length=8, choices=State, default=State.RUNNING)
    stopped_reason = models.TextField(blank=True)
    whole = models.BooleanField(default=False)
    previous = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="next")
    repeat_reason = models.TextField(blank=True)
    verdict = models.CharField(max_length=12, choices=VERDICTS, null=True)
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    looked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-started_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    models.Q(state="stopped", verdict__in=("failed", "inconclusive"), ended_at__isnull=False),
                    ~models.Q(stopped_reason=""),
                )
                | models.Q(~models.Q(state="stopped"), stopped_reason=""),
                name="a_stopped_campaign_says_why",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="ended") | models.Q(verdict="passed", ended_at__isnull=False),
                name="a_campaign_ends_when_it_has_passed",
            ),
        ]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="campaign_no_delete", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="campaign_begins",
                operation=pgtrigger.Insert,
                condition=~pgtrigger.Q(new__state="running"),
            ),
            pgtrigger.FSM(
                name="campaign_moves",
                field="state",
                transitions=[
                    ("running", "ready"),
                    ("ready", "approved"),
                    ("ready", "live"),
                    ("approved", "live"),
                    ("live", "ended"),
                    ("running", "stopped"),
                    ("ready", "stopped"),
                    ("approved", "stopped"),
                    ("live", "stopped"),
                ],
            ),
            pgtrigger.Protect(
                name="campaign_signed_first",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__profile="production", old__state="ready", new__state="live"),
            ),
            pgtrigger.Protect(
                name="campaign_signable_only",
                operation=pgtrigger.Update,
                condition=~pgtrigger.Q(old__profile="production") & pgtrigger.Q(new__state="approved"),
            ),
            pgtrigger.Trigger(
                name="campaign_approved_by_people",
                operation=pgtrigger.Update,
                when=pgtrigger.Before,
                condition=pgtrigger.Q(old__state="ready", new__state="approved"),
                declare=[("approvals", "integer"), ("refusals", "integer")],
                func=SIGNED_FIRST,
            ),
            pgtrigger.Trigger(
                name="campaign_proves_gates",
                operation=pgtrigger.Update,
                when=pgtrigger.Before,
                condition=pgtrigger.Q(old__state="running", new__state="ready"),
                declare=[("gates_passed", "integer")],
                func=GATES_PASSED,
            ),
            pgtrigger.ReadOnly(
                name="campaign_asked_stays",
                fields=[
                    "target",
                    "profile",
                    "build",
                    "whole",
                    "previous",
                    "repeat_reason",
                    "started_by",
                    "started_at",
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"campaign {self.pk} of {self.target}"

    def get_absolute_url(self) -> str:
        return reverse("gates:campaign", args=[self.pk])

    @property
    def trial(self) -> str:
        """What kind of try it is, in words: `rehearsal`, `smoke test`, `production campaign`."""
        return {"smoke": "smoke test", "production": "production campaign"}.get(self.profile, self.profile)

    @property
    def signable(self) -> bool:
        """Whether people may sign it: rehearsals and smoke tests prove nothing about money."""
        return self.profile == "production"


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
            models.UniqueConstraint(
                fields=["campaign", "gate"], condition=models.Q(gate__lt=4), name="a_gate_runs_once_in_a_campaign"
            ),
        ]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="no_delete", operation=pgtrigger.Delete),
            pgtrigger.Trigger(
                name="in_order",
                operation=pgtrigger.Insert,
                when=pgtrigger.Before,
                declare=[("standing", "text"), ("others", "integer"), ("passed_before", "integer")],
                func=IN_ORDER,
            ),
            pgtrigger.Trigger(
                name="after_a_failure", operation=pgtrigger.Insert, when=pgtrigger.Before, func=AFTER_A_FAILURE
            ),
            pgtrigger.Protect(
                name="run_begins", operation=pgtrigger.Insert, condition=~pgtrigger.Q(new__state="running")
            ),
            pgtrigger.FSM(name="moves", field="state", transitions=[("running", "closed")]),
            pgtrigger.Trigger(
                name="passes_on_evidence",
                operation=pgtrigger.Update,
                when=pgtrigger.Before,
                condition=pgtrigger.Q(old__state="running", new__state="closed", new__verdict="passed"),
                func=ON_EVIDENCE,
            ),
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
