"""Decisions of people about a campaign: append-only, and what can be refused by the database is refused there.

A mistake is a second row that withdraws the first. Whoever writes past the commands meets the same rules here.
"""

import pgtrigger
from django.conf import settings
from django.db import models

from gates.models.campaigns import Campaign
from gates.models.keeping import NEVER_EMPTIED

APPEND_ONLY = (
    pgtrigger.Protect(name="only_added", operation=pgtrigger.Update | pgtrigger.Delete),
    NEVER_EMPTIED,
)

REVIEW_RULES = """
    SELECT * INTO campaign FROM gates_campaign WHERE id = NEW.campaign_id FOR SHARE;
    IF campaign.build <> NEW.build THEN
        RAISE EXCEPTION 'campaign % is for another build than the one reviewed', campaign.id;
    END IF;
    IF campaign.started_by_id = NEW.reviewer_id THEN
        RAISE EXCEPTION 'who started campaign % cannot review its code', campaign.id;
    END IF;
    IF EXISTS (SELECT 1 FROM gates_incident WHERE fixed_build = NEW.build AND fixed_by_id = NEW.reviewer_id) THEN
        RAISE EXCEPTION 'who fixed what the build of campaign % changes cannot review its code', campaign.id;
    END IF;
    RETURN NEW;
"""

# The row of the campaign is locked first, so that of two who sign at once the second one sees the first one's row.
SIGNING_RULES = """
    SELECT * INTO campaign FROM gates_campaign WHERE id = NEW.campaign_id FOR UPDATE;
    IF campaign.profile <> 'production' THEN
        RAISE EXCEPTION 'campaign % is a %: only production can be signed', campaign.id, campaign.profile;
    END IF;
    IF NEW.number <> (SELECT count(*) + 1 FROM gates_signoff
                      WHERE campaign_id = NEW.campaign_id AND stage = NEW.stage) THEN
        RAISE EXCEPTION 'decision % of campaign % is not the next one', NEW.number, campaign.id;
    END IF;
    IF NEW.decision = 'withdraw' THEN
        PERFORM 1 FROM gates_signoff made WHERE made.id = NEW.withdraws_id AND made.decision <> 'withdraw'
            AND (made.campaign_id, made.stage, made.role, made.person_id, made.evidence_sha256, made.build)
              = (NEW.campaign_id, NEW.stage, NEW.role, NEW.person_id, NEW.evidence_sha256, NEW.build);
        IF NOT FOUND THEN
            RAISE EXCEPTION 'only a decision of one''s own can be withdrawn';
        END IF;
        RETURN NEW;
    END IF;
    IF campaign.build <> NEW.build THEN
        RAISE EXCEPTION 'campaign % is for another build than the one signed', campaign.id;
    END IF;
    IF campaign.state NOT IN ('ready', 'approved', 'live', 'ended')
            OR (NEW.stage = 'capital') = (campaign.state = 'ended') THEN
        RAISE EXCEPTION 'campaign % is %: it waits for no signature', campaign.id, campaign.state;
    END IF;
    PERFORM 1 FROM gates_signoff made
        WHERE (made.campaign_id, made.stage, made.evidence_sha256, made.build)
            = (NEW.campaign_id, NEW.stage, NEW.evidence_sha256, NEW.build)
        AND made.decision <> 'withdraw' AND (made.person_id = NEW.person_id OR made.role = NEW.role)
        AND NOT EXISTS (SELECT 1 FROM gates_signoff later WHERE later.withdraws_id = made.id);
    IF FOUND THEN
        RAISE EXCEPTION 'this person or this role has decided about campaign % already', campaign.id;
    END IF;
    IF NEW.decision <> 'approve' THEN
        RETURN NEW;
    END IF;
    PERFORM 1 FROM gates_codereview WHERE campaign_id = campaign.id AND build = NEW.build AND accepted;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'campaign % has no code review', campaign.id;
    END IF;
    PERFORM 1 FROM gates_run run
        LEFT JOIN gates_ledgeraudit audit ON audit.run_id = run.id
        LEFT JOIN gates_chaosrun chaos ON chaos.run_id = run.id
        LEFT JOIN gates_liverun live ON live.run_id = run.id
        WHERE run.campaign_id = campaign.id
        AND NEW.person_id IN
            (campaign.started_by_id, audit.started_by_id, chaos.started_by_id, live.started_by_id);
    IF FOUND THEN
        RAISE EXCEPTION 'who started campaign % or a run of it cannot approve it', campaign.id;
    END IF;
    PERFORM 1 FROM gates_findingchange change
        JOIN gates_finding finding ON finding.id = change.pgh_obj_id
        JOIN gates_run run ON run.id = finding.run_id
        WHERE run.campaign_id = campaign.id AND change.pgh_context ->> 'user' = NEW.person_id::text;
    IF FOUND THEN
        RAISE EXCEPTION 'who worked on the findings of campaign % cannot approve it', campaign.id;
    END IF;
    PERFORM 1 FROM gates_alertstep step
        JOIN gates_alert alert ON alert.id = step.alert_id
        JOIN gates_run run ON run.id = alert.run_id
        WHERE run.campaign_id = campaign.id AND step.kind = 'acknowledged' AND step.person_id = NEW.person_id;
    IF FOUND THEN
        RAISE EXCEPTION 'who acknowledged alerts of campaign % cannot approve it', campaign.id;
    END IF;
    RETURN NEW;
"""


class CodeReview(models.Model):
    """Somebody who did not start the campaign has read the code of its build, and says what they think of it."""

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="code_reviews")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    build = models.CharField(max_length=200)
    accepted = models.BooleanField()
    reference = models.CharField(max_length=300, blank=True)
    statement = models.TextField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["at", "pk"]
        permissions = [("review_code", "Can record a code review")]
        constraints = [models.CheckConstraint(condition=~models.Q(statement=""), name="a_review_says_something")]
        triggers = [
            *APPEND_ONLY,
            pgtrigger.Trigger(
                name="review_rules",
                operation=pgtrigger.Insert,
                when=pgtrigger.Before,
                declare=[("campaign", "gates_campaign%ROWTYPE")],
                func=REVIEW_RULES,
            ),
        ]

    def __str__(self) -> str:
        return f"code review of {self.campaign} by {self.reviewer}"


class SignOff(models.Model):
    """One decision of one person in one role, bound to the evidence and the build that they saw.

    Decisions of a campaign and stage are numbered from 1 without gaps, so that two made at once cannot both stand.
    `authenticated_by` says how the person proved who they are: [{method, at}].
    """

    class Stage(models.TextChoices):
        CAPITAL = "capital", "live capital"
        NEXT_STEP = "next step", "next step of the ladder"

    class Decision(models.TextChoices):
        APPROVE = "approve"
        REFUSE = "refuse"
        WITHDRAW = "withdraw"

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="sign_offs")
    stage = models.CharField(max_length=10, choices=Stage)
    number = models.PositiveSmallIntegerField()
    role = models.CharField(max_length=20)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="sign_offs")
    decision = models.CharField(max_length=8, choices=Decision)
    statement = models.TextField()
    evidence_sha256 = models.CharField(max_length=64)
    build = models.CharField(max_length=200)
    withdraws = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="withdrawn_by")
    authenticated_by = models.JSONField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["stage", "number"]
        permissions = [("sign_off", "Can sign off a campaign")]
        constraints = [
            models.UniqueConstraint(fields=["campaign", "stage", "number"], name="decisions_are_numbered"),
            models.CheckConstraint(
                condition=models.Q(stage__in=["capital", "next step"], decision__in=["approve", "refuse"])
                & models.Q(withdraws=None)
                | models.Q(stage__in=["capital", "next step"], decision="withdraw", withdraws__isnull=False),
                name="a_withdrawal_names_what_it_withdraws",
            ),
            models.CheckConstraint(condition=~models.Q(statement=""), name="a_decision_says_why"),
            models.CheckConstraint(
                condition=models.Q(evidence_sha256__regex=r"^[0-9a-f]{64}$"), name="a_decision_names_its_evidence"
            ),
        ]
        triggers = [
            *APPEND_ONLY,
            pgtrigger.Trigger(
                name="signing_rules",
                operation=pgtrigger.Insert,
                when=pgtrigger.Before,
                declare=[("campaign", "gates_campaign%ROWTYPE")],
                func=SIGNING_RULES,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.decision} of {self.campaign} as {self.role} by {self.person}"
