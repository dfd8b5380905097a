"""What people and ticks cause: starting and closing runs."""

import logging
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from audits.sources import BrokerError
from audits.verdicts import Verdict
from gates import engine, queries
from gates.campaigns.before import Beginning, campaign_before, demand_done
from gates.campaigns.commands import CampaignRefusedError, end, stop, supersede
from gates.campaigns.hands import SLOT
from gates.campaigns.reviews import cut_reviews
from gates.campaigns.searching import closed_by_hand, description_sha256, last_transaction
from gates.chaos.standing import chaos_criteria_of
from gates.checks import health
from gates.criteria import Criterion, criteria, verdict_of
from gates.incidents.commands import note_restart
from gates.ledger_audit.standing import audit_criteria_of, campaign_verdict
from gates.live_capital.months import begins_again
from gates.live_capital.standing import live_criteria_of
from gates.models import Campaign, Run, RunEvent, Slot, Target
from gates.plans import BadEvidenceError, Plan, demand_sense, plan_for
from gates.targets.access import TargetUnreachableError, access
from gates.targets.accounts import account_sha256
from gates.targets.environment import environment_of

log = logging.getLogger(__name__)


class CannotStartError(Exception):
    """A run cannot start; the message says why and what to do.

    CannotStartError
    └── TargetIllError   the target does not answer, or says that it is not well: it may be, a moment later
    """


class TargetIllError(CannotStartError):
    """The target is not well, or its process cannot be seen; the message says what was seen."""


def start_campaign(
    target: Target,
    *,
    profile: str,
    started_by: User | None,
    now: datetime,
    whole: bool = False,
    repeat_reason: str = "",
) -> Run:
    """Start a campaign and its gate 1; a `whole` one opens gates 2 and 3 by itself, each when the one before passed.

    1. Look at the target: what it is now is the baseline of the whole run.
    2. In one transaction: the end of the campaign that this one takes the place of, campaign, run, every slot, the
       first event. A failed campaign before it must be through its incident and was of another build, an inconclusive
       one needs a reason.

    Raises CannotStartError, PlanError, TargetUnreachableError.
    """
    plan = plan_for(profile).with_evidence(_evidence(target, profile))
    start = now.replace(microsecond=0) + timedelta(seconds=1)
    demand_sense(plan, start)
    baseline = _baseline(target, now)
    with transaction.atomic():
        Target.objects.select_for_update().get(pk=target.pk)
        if Run.objects.filter(campaign__target=target, state=Run.State.RUNNING).exists():
            raise CannotStartError(f"A run of {target} is going on: wait for its end, a target has one run at a time.")
        build = baseline.get("build", "unknown")
        before = _before(Beginning(target, profile, build, baseline["account"], repeat_reason), now)
        campaign = Campaign.objects.create(
            target=target,
            profile=profile,
            build=build,
            whole=whole,
            previous=before,
            repeat_reason=" ".join(repeat_reason.split()),
            started_by=started_by,
            started_at=now,
        )
        run = Run.objects.create(
            campaign=campaign,
            gate=1,
            plan=asdict(plan),
            baseline=baseline,
            planned_start=start,
            planned_end=start + timedelta(seconds=plan.duration_s),
        )
        count = engine.cut(run, plan)
        cut_reviews(run)
        note_restart(campaign)
        RunEvent.objects.create(
            run=run, at=now, kind=RunEvent.Kind.STARTED, sentence=f"Run of {target} started with {count} slots."
        )
    return run


def _before(beginning: Beginning, now: datetime) -> Campaign | None:
    """End what the new campaign takes the place of, and return the campaign it follows. Raises CannotStartError."""
    try:
        supersede(beginning.target, beginning.profile, now)
        before = campaign_before(beginning.target, beginning.profile)
        demand_done(beginning, before)
        return before
    except CampaignRefusedError as error:
        raise CannotStartError(str(error)) from error


def _evidence(target: Target, profile: str) -> dict[str, Any]:
    """Return the minima that the target's description sets for this profile: its section [evidence.<profile>]."""
    wanted = target.spec.get("evidence", {})
    wanted = wanted.get(profile, {}) if isinstance(wanted, dict) else wanted
    if not isinstance(wanted, dict):
        raise BadEvidenceError(f"[evidence.{profile}] is {wanted!r}: give names and whole numbers.")
    return wanted


def _baseline(target: Target, now: datetime) -> dict[str, Any]:
    """Look at the target before its run: one that is ill, or whose process cannot be seen, would fail without a fault
    of its own. Raises TargetIllError, TargetUnreachableError."""
    reach = access(target.spec)
    if not reach.health_url:
        raise TargetUnreachableError(health.NO_HEALTH)
    seen = health.observe(reach)
    outcome = health.judge(seen, seen)
    if outcome.verdict != Verdict.PASSED:
        raise TargetIllError(f"{outcome.reason} See to the target, then start the run.")
    told = {key: seen[key] for key in (*health.IDENTITY, *health.MAY_TELL) if seen.get(key) is not None}
    try:
        last = last_transaction(reach)
    except BrokerError as error:
        raise TargetIllError(f"The target's broker account cannot be read: {error}") from error
    told |= {"description": description_sha256(target.spec), "last_transaction_id": last}
    told |= {"account": account_sha256(reach)}
    return told | {"environment": environment_of(target.spec, reach, now)}


def criteria_of(run: Run) -> tuple[Criterion, ...]:
    """Judge a run from its rows as they are now."""
    if run.gate == 2:
        return chaos_criteria_of(run)
    if run.gate == 3:
        return audit_criteria_of(run)
    if run.gate == 4:
        return live_criteria_of(run)
    happened, gaps = queries.what_happened(run), queries.gaps_that_stayed(run)
    return criteria(Plan.stored(run.plan), queries.judged_slots(run), happened, gaps)


def _why_stopped(run: Run) -> str:
    """Say which gate did not pass, and the first of its criteria that says why."""
    if run.verdict == Verdict.PASSED:
        return f"Gate {run.gate} was run alone: a part, or out of its turn, opens nothing."
    reasons = (line["reason"] for line in run.criteria if line["verdict"] == run.verdict and line["reason"])
    return f"Gate {run.gate} {run.verdict}: {next(reasons, 'see its criteria.')}"


@transaction.atomic
def close_run(run_id: int, now: datetime) -> Run | None:
    """Merge the verdicts of a run of which no slot is due, and close it and its campaign once."""
    run = Run.objects.select_for_update().get(pk=run_id)
    if not run.is_open or run.slots.filter(state=Slot.State.DUE).exists():
        return None
    for closed in closed_by_hand(run) if run.gate in (1, 4) else ():
        engine.note_intervention(run, rule=SLOT, sentence=f"{closed.slot}: {closed.why}.", now=now)
    run.refresh_from_db(fields=["cursor"])
    table = criteria_of(run)
    run.verdict = verdict_of(table)
    run.criteria = [asdict(criterion) for criterion in table]
    run.state, run.closed_at, run.cursor = Run.State.CLOSED, now, run.cursor + 1
    run.save()
    verdict = campaign_verdict(run)
    if verdict != Verdict.PASSED and not begins_again(run):
        stop(run.campaign_id, _why_stopped(run), verdict=verdict, now=now)
    elif verdict == Verdict.PASSED and run.gate == 4:
        end(run.campaign_id, verdict, now)
    RunEvent.objects.create(run=run, at=now, kind=RunEvent.Kind.CLOSED, sentence=f"Run closed: {run.verdict}.")
    return run
