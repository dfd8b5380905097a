"""The shared cast of the tests: a target, a run and its slots."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from django.contrib.auth.models import User

from gates import engine
from gates.models import Campaign, CodeReview, Run, SignOff, Slot, SlotResult, Target
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


def a_campaign(*, profile="smoke", passed=(), name="fx-desk", build="sha256:0", started_at=START, **fields):
    """Return a campaign whose gates `passed` have passed, one after another, as the database demands it."""
    target, _ = Target.objects.get_or_create(name=name, defaults={"spec": {}, "created_at": START})
    campaign = Campaign.objects.create(target=target, profile=profile, build=build, started_at=started_at, **fields)
    for gate in passed:
        a_gate(campaign, gate)
    return campaign


def a_gate(campaign, gate, verdict="passed", **fields):
    """Return one gate of the campaign: closed by this verdict, or going on without one."""
    start = START + timedelta(hours=gate)
    end = start + timedelta(hours=1)
    run = Run.objects.create(campaign=campaign, gate=gate, plan={}, planned_start=start, planned_end=end, **fields)
    if verdict == "passed":
        a_passed_slot(run)
    if verdict is not None:
        Run.objects.filter(pk=run.pk).update(state="closed", verdict=verdict, closed_at=end)
        run.refresh_from_db()
    return run


def a_passed_slot(run):
    """Give the run a slot that passed: without one no run passes."""
    when = {"window_start": run.planned_start, "window_end": run.planned_end}
    due = {"due_at": run.planned_end, "grace_until": run.planned_end}
    slot = Slot.objects.create(run=run, check_name="hands", state="done", attempt=1, verdict="passed", **when, **due)
    times = {"started_at": run.planned_start, "finished_at": run.planned_end}
    SlotResult.objects.create(slot=slot, attempt=1, verdict="passed", measured={}, **times)


def a_ready_campaign(*, profile="production", **fields):
    """Return a campaign that waits for its signatures."""
    campaign = a_campaign(profile=profile, passed=(1, 2, 3), **fields)
    Campaign.objects.filter(pk=campaign.pk).update(state="ready")
    campaign.refresh_from_db()
    return campaign


def signed(campaign):
    """Let two people approve a ready campaign, straight in the database, which demands no more."""
    people = [User.objects.get_or_create(username=role)[0] for role in ("risk officer", "owner")]
    shape = {"campaign": campaign, "build": campaign.build, "statement": "I read it.", "at": START}
    CodeReview.objects.create(reviewer=people[0], accepted=True, **shape)
    for number, person in enumerate(people, start=campaign.sign_offs.count() + 1):
        SignOff.objects.create(
            stage="capital",
            number=number,
            role=person.username,
            person=person,
            decision="approve",
            evidence_sha256="0" * 64,
            authenticated_by=[],
            **shape,
        )
    return campaign
