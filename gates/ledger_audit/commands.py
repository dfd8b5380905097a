"""What people cause: starting an audit of a target's books."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from gates.campaigns.searching import description_sha256
from gates.campaigns.turns import whose_turn
from gates.checks import health
from gates.ledger_audit.plans import AuditPlan, audit_plan_for
from gates.models import Campaign, LedgerAudit, Run, RunEvent, Slot, Target
from gates.targets.access import access
from gates.targets.environment import environment_of

GATE = 3


class CannotAuditError(Exception):
    """An audit cannot start; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: a target and a profile; `only` some checks or only findings `since` makes it partial.

    With `campaign_id` it is gate 3 of that campaign or nothing at all.
    """

    target: Target
    profile: str
    only: Sequence[str] = ()
    since: datetime | None = None
    campaign_id: int | None = None


def start_audit(asked: Asked, *, started_by: User | None, now: datetime) -> Run:
    """Start an audit; it may be done at any time, but counts as gate 3 only in its turn.

    1. Look at the target's build: a campaign is for one build.
    2. Find the campaign whose gates 1 and 2 passed and whose gate 3 has not run. Without one, or for a part of the
       checks, the audit is a campaign of its own that can never open gate 4.
    3. In one transaction: the run, one slot for each check, the lease row, the first event.

    Raises CannotAuditError, UnknownProfileError, UnknownCheckError, TargetUnreachableError.
    """
    plan = audit_plan_for(asked.profile, asked.only)
    reach = access(asked.target.spec)
    build = str(health.observe(reach).get("build") or "")
    baseline = {"environment": environment_of(asked.target.spec, reach, now)}
    with transaction.atomic():
        target = Target.objects.select_for_update().get(pk=asked.target.pk)
        if Run.objects.filter(campaign__target=asked.target, gate=GATE, state=Run.State.RUNNING).exists():
            raise CannotAuditError(f"An audit of {asked.target} is going on: wait for its end.")
        campaign, why_not = _its_turn(asked, target, build)
        if asked.campaign_id is not None and (campaign is None or campaign.pk != asked.campaign_id):
            raise CannotAuditError(why_not or f"{campaign} is open now.")
        if campaign is None:
            campaign = Campaign.objects.create(
                target=asked.target,
                profile=asked.profile,
                build=build or "unknown",
                started_by=started_by,
                started_at=now,
            )
        run = _run_of(campaign, plan, baseline | {"description": description_sha256(target.spec)}, now)
        return _start(run, plan, LedgerAudit(started_by=started_by, **_facts(asked, why_not)), now)


def _facts(asked: Asked, why_not: str) -> dict[str, object]:
    return {
        "counted": not why_not,
        "not_counted_because": why_not,
        "only": list(asked.only),
        "since": asked.since,
    }


def _its_turn(asked: Asked, target: Target, build: str) -> tuple[Campaign | None, str]:
    """Return the campaign whose gate 3 this audit is, or None and why it does not count."""
    if asked.only or asked.since:
        return None, "It looks at a part of the books only."
    return whose_turn(target, asked.profile, gate=GATE, build=build)


def _run_of(campaign: Campaign, plan: AuditPlan, baseline: dict[str, Any], now: datetime) -> Run:
    end = now + timedelta(seconds=plan.limit_s)
    return Run.objects.create(
        campaign=campaign, gate=GATE, plan=asdict(plan), planned_start=now, planned_end=end, baseline=baseline
    )


def _start(run: Run, plan: AuditPlan, audit: LedgerAudit, now: datetime) -> Run:
    end = run.planned_end
    # Due and over at the same moment: no tick takes such a slot, the audit's own process fills it before.
    Slot.objects.bulk_create(
        Slot(run=run, check_name=name, window_start=now, window_end=end, due_at=end, grace_until=end)
        for name in plan.checks
    )
    audit.run = run
    audit.save()
    what = f"{len(plan.checks)} checks" if not audit.only else f"only {', '.join(plan.checks)}"
    sentence = f"Audit of {run.campaign.target} started: {what}. "
    sentence += "It counts as gate 3." if audit.counted else f"It does not count as gate 3: {audit.not_counted_because}"
    RunEvent.objects.create(run=run, at=now, kind=RunEvent.Kind.STARTED, sentence=sentence)
    return run
