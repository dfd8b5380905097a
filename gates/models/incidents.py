"""Incidents: the failure protocol of a failed campaign. Who takes which step, on what evidence, is the database's.

A step's columns change only in the update that takes the step, so that none is skipped, backdated or written over;
every update is kept with who and when.
"""

import pghistory
import pgtrigger
from django.conf import settings
from django.db import models
from django.urls import reverse

from gates.campaigns.hands import SURELY_HANDS
from gates.models.campaigns import VERDICTS, Campaign
from gates.models.chaos import CrashPoint
from gates.models.findings import Finding
from gates.models.keeping import NEVER_EMPTIED

HANDS = ", ".join(f"'{rule}'" for rule in sorted(SURELY_HANDS))
STEPS = """
    investigated := (OLD.cause, OLD.investigated_by_id, OLD.investigated_at)
        IS DISTINCT FROM (NEW.cause, NEW.investigated_by_id, NEW.investigated_at);
    fixed := (OLD.fix, OLD.fixed_build, OLD.fixed_by_id, OLD.fixed_at)
        IS DISTINCT FROM (NEW.fix, NEW.fixed_build, NEW.fixed_by_id, NEW.fixed_at);
    tested := (OLD.tested_by_id, OLD.tested_at) IS DISTINCT FROM (NEW.tested_by_id, NEW.tested_at);
    approved := (OLD.approval, OLD.approved_by_id, OLD.approved_at)
        IS DISTINCT FROM (NEW.approval, NEW.approved_by_id, NEW.approved_at);
    SELECT build INTO failed_build FROM gates_campaign WHERE id = NEW.campaign_id;
    IF (OLD.campaign_id, OLD.opened_at) IS DISTINCT FROM (NEW.campaign_id, NEW.opened_at) THEN
        RAISE EXCEPTION 'incident %: what it is about stays', OLD.id;
    ELSIF OLD.state = NEW.state AND (investigated OR fixed OR tested OR approved) THEN
        RAISE EXCEPTION 'incident %: the words of a step change only when it is taken', OLD.id;
    ELSIF OLD.state = NEW.state THEN
        RETURN NEW;
    ELSIF (OLD.state, NEW.state) = ('investigate', 'fix') THEN
        IF fixed OR tested OR approved OR NEW.cause = '' OR NEW.investigated_by_id IS NULL
                OR NEW.investigated_at IS NULL THEN
            RAISE EXCEPTION 'incident %: an investigation names its cause, by whom and when', OLD.id;
        END IF;
        IF NOT EXISTS (SELECT 1 FROM gates_incidentfinding WHERE incident_id = OLD.id) AND EXISTS (
                SELECT 1 FROM gates_finding f JOIN gates_run r ON r.id = f.run_id
                WHERE r.campaign_id = NEW.campaign_id) THEN
            RAISE EXCEPTION 'incident %: a cause is tied to the findings that it explains', OLD.id;
        END IF;
    ELSIF (OLD.state, NEW.state) = ('fix', 'prevention test') THEN
        only_hands := EXISTS (
                SELECT 1 FROM gates_runevent e JOIN gates_run r ON r.id = e.run_id
                WHERE r.campaign_id = NEW.campaign_id AND e.kind = 'intervention')
            AND NOT EXISTS (
                SELECT 1 FROM gates_finding f JOIN gates_run r ON r.id = f.run_id
                WHERE r.campaign_id = NEW.campaign_id AND f.rule NOT IN (HANDS));
        IF investigated OR tested OR approved OR NEW.fix = '' OR NEW.fixed_build = '' OR NEW.fixed_by_id IS NULL
                OR NEW.fixed_at IS NULL THEN
            RAISE EXCEPTION 'incident %: a fix names its build, by whom and when', OLD.id;
        END IF;
        IF NEW.fixed_build = failed_build AND NOT only_hands THEN
            RAISE EXCEPTION 'incident %: a fix is a new build, and this is the one that failed', OLD.id;
        END IF;
    ELSIF (OLD.state, NEW.state) = ('prevention test', 'approval') THEN
        IF investigated OR fixed OR approved OR NEW.tested_by_id IS NULL OR NEW.tested_at IS NULL THEN
            RAISE EXCEPTION 'incident %: a prevention test is accepted by somebody, at a time', OLD.id;
        END IF;
        IF NOT EXISTS (
                SELECT 1 FROM gates_proof fresh WHERE fresh.incident_id = OLD.id AND fresh.verdict = 'passed'
                AND fresh.build = NEW.fixed_build AND (NEW.fixed_build = failed_build OR EXISTS (
                    SELECT 1 FROM gates_proof former WHERE former.incident_id = OLD.id AND former.test = fresh.test
                    AND former.verdict = 'failed' AND former.build = failed_build))) THEN
            RAISE EXCEPTION 'incident %: no test has failed on the old build and passed on the new one', OLD.id;
        END IF;
    ELSIF (OLD.state, NEW.state) = ('approval', 'approved') THEN
        IF investigated OR fixed OR tested OR NEW.approval = '' OR NEW.approved_by_id IS NULL
                OR NEW.approved_at IS NULL OR NEW.approved_by_id = NEW.fixed_by_id THEN
            RAISE EXCEPTION 'incident %: it is approved in words, by another person than the one who fixed it', OLD.id;
        END IF;
    ELSIF (OLD.state, NEW.state) = ('approved', 'restarted') THEN
        IF investigated OR fixed OR tested OR approved
                OR NOT EXISTS (SELECT 1 FROM gates_campaign WHERE previous_id = NEW.campaign_id) THEN
            RAISE EXCEPTION 'incident %: a restart is a new campaign that follows the failed one', OLD.id;
        END IF;
    ELSIF NEW.state = 'fix' AND OLD.state IN ('prevention test', 'approval') THEN
        IF investigated OR (NEW.fix, NEW.fixed_build) <> ('', '') OR NEW.fixed_by_id IS NOT NULL
                OR NEW.fixed_at IS NOT NULL OR NEW.tested_by_id IS NOT NULL OR NEW.tested_at IS NOT NULL
                OR approved THEN
            RAISE EXCEPTION 'incident %: back at the fix, fix and test begin anew', OLD.id;
        END IF;
    ELSE
        RAISE EXCEPTION 'incident % cannot go from % to %', OLD.id, OLD.state, NEW.state;
    END IF;
    RETURN NEW;
""".replace("HANDS", HANDS)
OF_A_FAILURE = """
    IF NEW.state <> 'investigate' OR (NEW.cause, NEW.fix, NEW.fixed_build, NEW.approval) <> ('', '', '', '')
            OR NOT EXISTS (SELECT 1 FROM gates_campaign WHERE id = NEW.campaign_id AND verdict = 'failed') THEN
        RAISE EXCEPTION 'an incident begins with the investigation of a failed campaign';
    END IF;
    RETURN NEW;
"""
REPEATS = """
    IF NEW.test <> 'crash-point:' || NEW.crash_point_id OR NOT EXISTS (
            SELECT 1 FROM gates_crashpoint p JOIN gates_scenariorun s ON s.id = p.scenario_id
            JOIN gates_run r ON r.id = s.run_id JOIN gates_incident i ON i.campaign_id = r.campaign_id
            WHERE i.id = NEW.incident_id AND p.id = NEW.crash_point_id AND p.verdict = 'failed') THEN
        RAISE EXCEPTION 'incident %: only a crash point that failed in its own campaign is repeated', NEW.incident_id;
    END IF;
    RETURN NEW;
"""
BOOLEANS = ("investigated", "fixed", "tested", "approved", "only_hands")
_TRACKED = ("state", "cause", "fix", "fixed_build", "approval")


def _person(name: str) -> "models.ForeignKey[object, object]":
    return models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name=name)


@pghistory.track(
    pghistory.InsertEvent(),
    pghistory.UpdateEvent(condition=pghistory.AnyChange("state")),
    fields=list(_TRACKED),
    model_name="IncidentChange",
    obj_field=pghistory.ObjForeignKey(related_name="changes"),
    context_field=pghistory.ContextJSONField(),
    meta={"ordering": ["pgh_created_at", "pgh_id"], "triggers": [NEVER_EMPTIED]},
    append_only=True,
)
class Incident(models.Model):
    """The failure protocol of one failed campaign, from its investigation to the campaign that follows it."""

    class State(models.TextChoices):
        INVESTIGATE = "investigate", "to be investigated"
        FIX = "fix", "to be fixed"
        TEST = "prevention test", "waits for its prevention test"
        APPROVAL = "approval", "waits for approval"
        APPROVED = "approved", "approved: may start again"
        RESTARTED = "restarted", "restarted"

    campaign = models.OneToOneField(Campaign, on_delete=models.PROTECT, related_name="incident")
    state = models.CharField(max_length=15, choices=State, default=State.INVESTIGATE)
    opened_at = models.DateTimeField()
    findings = models.ManyToManyField(Finding, through="IncidentFinding", related_name="incidents")
    cause = models.TextField(blank=True)
    investigated_by = _person("investigated_incidents")
    investigated_at = models.DateTimeField(null=True)
    fix = models.TextField(blank=True)
    fixed_build = models.CharField(max_length=200, blank=True)
    fixed_by = _person("fixed_incidents")
    fixed_at = models.DateTimeField(null=True)
    tested_by = _person("tested_incidents")
    tested_at = models.DateTimeField(null=True)
    approval = models.TextField(blank=True)
    approved_by = _person("approved_incidents")
    approved_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-opened_at"]
        permissions = [
            ("work_incident", "Can investigate, fix and test an incident"),
            ("approve_incident", "Can approve the restart after an incident"),
        ]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="incident_no_delete", operation=pgtrigger.Delete),
            pgtrigger.Trigger(
                name="incident_of_a_failure", operation=pgtrigger.Insert, when=pgtrigger.Before, func=OF_A_FAILURE
            ),
            pgtrigger.Trigger(
                name="incident_steps",
                operation=pgtrigger.Update,
                when=pgtrigger.Before,
                declare=[*((name, "boolean") for name in BOOLEANS), ("failed_build", "text")],
                func=STEPS,
            ),
        ]

    def __str__(self) -> str:
        return f"incident {self.pk} of campaign {self.campaign_id}"

    def get_absolute_url(self) -> str:
        return reverse("gates:incident", args=[self.pk])

    @property
    def allows_restart(self) -> bool:
        """Whether a new campaign of the target may start."""
        return self.state in (self.State.APPROVED, self.State.RESTARTED)


class IncidentFinding(models.Model):
    """A finding that the cause of an incident explains; tied while it is investigated, and then for good."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="+")
    finding = models.ForeignKey(Finding, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["incident", "finding"], name="a_finding_is_tied_once")]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="tie_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            pgtrigger.Trigger(
                name="tie_of_this_campaign",
                operation=pgtrigger.Insert,
                when=pgtrigger.Before,
                func="""
                    IF NOT EXISTS (
                        SELECT 1 FROM gates_incident i JOIN gates_run r ON r.campaign_id = i.campaign_id
                        JOIN gates_finding f ON f.run_id = r.id
                        WHERE i.id = NEW.incident_id AND f.id = NEW.finding_id AND i.state = 'investigate') THEN
                        RAISE EXCEPTION 'incident %: only findings of its own campaign, while it is investigated',
                            NEW.incident_id;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"finding {self.finding_id} of incident {self.incident_id}"


class Proof(models.Model):
    """One execution of a prevention test on one build, by the portal: what was run, what it said, how it ended.

    With a `crash_point` it is that strike made again, which passes or fails only with its `receipt`.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="proofs")
    test = models.CharField(max_length=200)
    crash_point = models.ForeignKey(CrashPoint, null=True, on_delete=models.PROTECT, related_name="proofs")
    build = models.CharField(max_length=200)
    argv = models.JSONField()
    state = models.CharField(max_length=7, choices=State, default=State.WAITING)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    exit_code = models.IntegerField(null=True)
    output = models.TextField(blank=True)
    receipt = models.JSONField(null=True)
    findings = models.JSONField(default=list)
    verdict = models.CharField(max_length=12, choices=VERDICTS, null=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(crash_point=None)
                | models.Q(verdict=None)
                | models.Q(verdict="inconclusive")
                | models.Q(receipt__isnull=False),
                name="a_strike_without_receipt_proves_nothing",
            ),
            models.CheckConstraint(
                condition=models.Q(state="done", verdict__isnull=False)
                | ~models.Q(state="done") & models.Q(verdict=None),
                name="a_proof_that_is_done_has_a_verdict",
            ),
            models.UniqueConstraint(
                fields=["incident", "test", "build"], condition=~models.Q(state="done"), name="one_proof_at_a_time"
            ),
        ]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="proof_no_delete", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="proof_begins", operation=pgtrigger.Insert, condition=~pgtrigger.Q(new__state="waiting")
            ),
            pgtrigger.FSM(
                name="proof_moves",
                field="state",
                transitions=[("waiting", "running"), ("running", "done")],
            ),
            pgtrigger.Protect(name="proof_stays", operation=pgtrigger.Update, condition=pgtrigger.Q(old__state="done")),
            pgtrigger.ReadOnly(
                name="proof_asked_stays",
                fields=["incident", "test", "crash_point", "build", "argv", "asked_by", "asked_at"],
            ),
            pgtrigger.Trigger(
                name="proof_repeats_what_failed",
                operation=pgtrigger.Insert,
                when=pgtrigger.Before,
                condition=pgtrigger.Q(new__crash_point__isnull=False),
                func=REPEATS,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.test} on {self.build}: {self.verdict or self.state}"


IncidentChange = Incident.pgh_event_model  # type: ignore[attr-defined]  # made by pghistory: who, when, what it then was
