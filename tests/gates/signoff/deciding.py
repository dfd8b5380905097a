"""The cast of a decision: a team of five, and a production campaign whose gates passed, with its rows and reports."""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

from django.contrib.auth.models import Group, User

from gates import reports, roles
from gates.evidence.standing import evidence_sha256
from gates.ledger_audit.plans import audit_plan_for
from gates.live_capital.plans import live_plan_for
from gates.models import (
    Campaign,
    CapitalPlan,
    ChaosRun,
    CodeReview,
    CrashPoint,
    Finding,
    LedgerAudit,
    LiveRun,
    Run,
    ScenarioRun,
    Slot,
    SlotResult,
    Target,
)
from gates.plans import plan_for
from gates.signoff import commands
from gates.signoff.proving import PASSWORD as GIVEN_PASSWORD
from gates.signoff.proving import Proof

BUILD = "sha256:7c1f04be92d5aa10"
STARTED = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = STARTED + timedelta(days=5)
TEAM = {"anna": "engineer", "ben": "engineer", "carla": "auditor", "dora": "risk officer", "emil": "owner"}
SIGNERS = ("ben", "dora", "emil")
WORDS = "I read the reports of all gates and the review of the code."


def team() -> dict[str, User]:
    """Anna starts campaigns, Ben reviews and signs as engineer, Carla works on findings, Dora and Emil sign."""
    roles.make_groups()
    people = {}
    for name, role in TEAM.items():
        people[name] = User.objects.create_user(name)
        people[name].groups.add(Group.objects.get(name=role))
    return people


@dataclass
class Decided:
    """A campaign that waits for its signatures, and the people."""

    campaign: Campaign
    people: dict[str, User]

    def asked(self, name: str, decision: str = "approve", **changed: object) -> commands.Asked:
        """Return what this person would send from a page opened now."""
        stage = str(changed.get("stage", "capital"))
        asked = commands.Asked(
            campaign_id=self.campaign.pk,
            person=self.people[name],
            role=TEAM[name],
            decision=decision,
            statement=WORDS,
            phrase=commands.phrase_for(self.campaign, stage),
            stage=stage,
            evidence_sha256=evidence_sha256(self.campaign, stage=stage),
            build=self.campaign.build,
            proof=proof(),
        )
        return replace(asked, **changed)  # type: ignore[arg-type]

    def sign(self, name: str, decision: str = "approve", **changed: object):
        return commands.sign(self.asked(name, decision, **changed), NOW)

    def state(self) -> str:
        return Campaign.objects.get(pk=self.campaign.pk).state


def proof(at: datetime = NOW) -> Proof:
    return Proof((GIVEN_PASSWORD,), {GIVEN_PASSWORD: at})


def a_decision(
    *,
    people: dict[str, User] | None = None,
    reviewed: bool = True,
    gates_started_by: dict[int, str] | None = None,
    **shape: object,
) -> Decided:
    """Return a ready production campaign of Anna's with sealed reports, its code reviewed by Ben."""
    people = people or team()
    others = {gate: people[name] for gate, name in (gates_started_by or {}).items()}
    campaign = gone_through(people["anna"], gates_started_by=others, **shape)  # type: ignore[arg-type]
    Campaign.objects.filter(pk=campaign.pk).update(state="ready")
    campaign.refresh_from_db()
    if reviewed:
        CodeReview.objects.create(
            campaign=campaign,
            reviewer=people["ben"],
            build=campaign.build,
            accepted=True,
            reference="review 118",
            statement="I read every change since the last build.",
            at=NOW - timedelta(days=1),
        )
    return Decided(campaign, people)


def gone_through(
    person: User | None,
    *,
    start: datetime = STARTED,
    build: str = BUILD,
    name: str = "fx-desk",
    gates_started_by: dict[int, User] | None = None,
    previous: Campaign | None = None,
) -> Campaign:
    """Return a running production campaign whose gates 1 to 3 have passed, each with a report."""
    by = gates_started_by or {}
    spec = {"broker": {"url": "https://practice.example"}}
    target, _ = Target.objects.get_or_create(name=name, defaults={"spec": spec, "created_at": start})
    campaign = Campaign.objects.create(
        target=target, profile="production", build=build, started_by=person, started_at=start, previous=previous
    )
    _passed(campaign, 1, start, asdict(plan_for("production")))
    chaos = _passed(campaign, 2, start + timedelta(hours=72), {})
    ChaosRun.objects.create(run=chaos, started_by=by.get(2, person), counted=True, depth=2)
    plan = audit_plan_for("production", ())
    audit = _passed(campaign, 3, start + timedelta(hours=80), asdict(plan), plan.checks)
    LedgerAudit.objects.create(run=audit, started_by=by.get(3, person), counted=True, phase="done")
    reports.write_campaign(campaign.pk, start + timedelta(hours=81))
    return campaign


CRITERIA = {
    1: [
        ("critical errors", "0", "0 in 4,320 health checks"),
        ("stops executed", "100 % of at least 100 touched, each within 5 s", "214 of 214 executed, slowest in 312 ms"),
        ("perfect ledger balance", "every integrity check clean", "72 of 72 slots clean"),
        ("zero reconciliation mismatches", "every comparison equal", "432 of 432 slots clean; 0 in 864 of its own"),
    ],
    2: [
        ("scenarios", "12 of 12", "12 of 12"),
        ("zero data corruption", "0 strikes that left wrong books", "0 of 1,184 strikes fell short"),
        ("perfect recovery", "within its limit, after every strike", "0 of 1,184 strikes fell short"),
    ],
    3: [
        ("balance equation", "exact in every row, link and total", "0 discrepancies in 18,204 rows"),
        ("zero discrepancies", "0 in every check", "0 discrepancies in 96,110 rows, 17 of 18 checks, 1 not applicable"),
    ],
    4: [("days without a critical error", "30", "30")],
}
HOURS = {1: 72, 2: 6, 3: 0.2, 4: 720}


def _passed(campaign: Campaign, gate: int, start: datetime, plan: dict, checks: tuple[str, ...] = ("hands",)) -> Run:
    end = start + timedelta(hours=HOURS[gate])
    run = Run.objects.create(campaign=campaign, gate=gate, plan=plan, planned_start=start, planned_end=end)
    _checked(run, checks)
    criteria = [
        {"name": name, "required": required, "measured": measured, "verdict": "passed", "reason": ""}
        for name, required, measured in CRITERIA[gate]
    ]
    Run.objects.filter(pk=run.pk).update(state="closed", verdict="passed", closed_at=end, criteria=criteria)
    run.refresh_from_db()
    return run


def _checked(run: Run, checks: tuple[str, ...]) -> None:
    for name in checks:
        slot = Slot.objects.create(
            run=run,
            check_name=name,
            window_start=run.planned_start,
            window_end=run.planned_end,
            due_at=run.planned_end,
            grace_until=run.planned_end,
            state="done",
            verdict="passed",
        )
        applies = name != "equity"
        SlotResult.objects.create(
            slot=slot,
            attempt=1,
            verdict="passed",
            reason="" if applies else "These books keep no equity.",
            measured={"title": name, "rows": 5000, "findings": 0, "applies": applies, "groups": []},
            started_at=run.planned_start,
            finished_at=run.planned_end,
        )


def approved_plan(decided: Decided) -> CapitalPlan:
    """A capital plan that Ben proposed and Dora approved."""
    plan = CapitalPlan.objects.create(
        campaign=decided.campaign,
        amount=300,
        instruments=["EUR_USD"],
        order_size=100,
        orders_per_minute=4,
        daily_loss=20,
        total_loss=60,
        ends_on=NOW.date() + timedelta(days=60),
        proposed_by=decided.people["ben"],
        proposed_at=NOW,
    )
    CapitalPlan.objects.filter(pk=plan.pk).update(state="approved", decided_by=decided.people["dora"], decided_at=NOW)
    return CapitalPlan.objects.get(pk=plan.pk)


def live_and_ended(decided: Decided, *, started_by: str = "anna", plan: CapitalPlan | None = None) -> None:
    """Let gate 4 of an approved campaign pass, with its report."""
    campaign = decided.campaign
    Campaign.objects.filter(pk=campaign.pk).update(state="live")
    run = _passed(campaign, 4, NOW, asdict(live_plan_for("production")))
    LiveRun.objects.create(
        run=run,
        plan=plan or approved_plan(decided),
        started_by=decided.people[started_by],
        counted=True,
        environment="live",
    )
    reports.write(run.pk, run.closed_at)
    Campaign.objects.filter(pk=campaign.pk).update(state="ended", verdict="passed", ended_at=run.closed_at)
    campaign.refresh_from_db()


def a_strange_run(campaign: Campaign) -> None:
    """Give the campaign's runs what a page has to show: strikes that did not apply, and findings that are explained."""
    _strikes(campaign.runs.get(gate=2))
    Finding.objects.create(
        run=campaign.runs.get(gate=1),
        rule="slow query",
        level="medium",
        sentence="The query of open positions took 2.1 s, and 1 s is its limit.",
        found_at=campaign.started_at + timedelta(hours=9),
        state="environment",
        cause="A backup ran on the same disk; it has a disk of its own now.",
    )


def _strikes(run: Run) -> None:
    slot = Slot.objects.create(
        run=run,
        check_name="kill during trade open",
        window_start=run.planned_start,
        window_end=run.planned_end,
        due_at=run.planned_end,
        grace_until=run.planned_end,
        state="done",
        verdict="passed",
    )
    scenario = ScenarioRun.objects.create(run=run, slot=slot, name="kill during trade open", number=1, phase="done")
    for number in range(6):
        CrashPoint.objects.create(
            scenario=scenario,
            number=number,
            operation="open",
            point="ledger: COMMIT",
            label="ledger: COMMIT",
            position=number,
            strike="stall",
            fault="stall beyond the client's timeout",
            phase="done",
            applies=False,
            reason="The client of this message waits for ever: it has no timeout to be longer than.",
        )


def a_second_finding(campaign: Campaign) -> Finding:
    """Let a finding wait for somebody to investigate it."""
    run = campaign.runs.get(gate=1)
    return Finding.objects.create(run=run, rule="slow query", level="medium", sentence="1.8 s.", found_at=NOW)
