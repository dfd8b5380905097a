"""The shared cast of the tests: a target, a run and its slots."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from gates import engine
from gates.models import Campaign, Run, Target
from gates.plans import plan_for

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_run(*, profile="smoke", start=START, spec=None):
    """Return a running gate 1 with all its slots cut."""
    target, _ = Target.objects.get_or_create(name="fx-desk", defaults={"spec": spec or {}, "created_at": start})
    campaign = Campaign.objects.create(target=target, profile=profile, build="sha256:0", started_at=start)
    plan = plan_for(profile)
    run = Run.objects.create(
        campaign=campaign,
        gate=1,
        plan=asdict(plan),
        planned_start=start,
        planned_end=start + timedelta(seconds=plan.duration_s),
    )
    engine.cut(run, plan)
    return run
