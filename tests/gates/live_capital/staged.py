"""A month of gate 4 as rows, with its slots cut, without any account behind it."""

from dataclasses import asdict
from datetime import timedelta

from gates import engine
from gates.campaigns.commands import go_live
from gates.checks.outcome import Outcome
from gates.live_capital.commands import rehearsal_plan
from gates.live_capital.plans import live_plan_for, live_windows
from gates.models import LiveRun, Run
from tests.gates.cast import START, a_campaign, a_ready_campaign

FIGURES = {"nav": "500.0000", "balance": "500.0000", "unrealised": "0", "margin_used": "0", "position_value": "0"}
LOOK = FIGURES | {"day_loss": "1.5", "total_loss": "3", "orders": 1, "largest_order": "150", "most_a_minute": 2}


def a_month(*, profile="smoke", counted=True, start=START, plan=None):
    """Return a running gate 4 with this plan: of a campaign that is live, or of one of its own that does not count."""
    if plan is None:
        campaign = a_ready_campaign(profile=profile) if counted else a_campaign(profile=profile)
        plan = rehearsal_plan(campaign, start)
    campaign = plan.campaign
    shape = live_plan_for(campaign.profile)
    if counted:
        go_live(campaign.pk, start)
    run = Run.objects.create(
        campaign=campaign,
        gate=4,
        plan=asdict(shape),
        baseline={"capital": {"nav": "500.0000", "plan_nav": "500.0000", "last_transaction_id": 3}},
        planned_start=start,
        planned_end=start + timedelta(seconds=shape.duration_s),
    )
    engine.insert(run, live_windows(shape, start))
    LiveRun.objects.create(
        run=run,
        plan=plan,
        counted=counted,
        not_counted_because="" if counted else "A rehearsal of its own.",
        environment="simulator posing as live",
    )
    return run


def filled(run, verdicts=None, *, until=None):
    """Close every slot, or those whose window ends by `until`: passed, but where `verdicts` says other by check."""
    slots = run.slots.filter(state="due").order_by("due_at")
    for slot in slots.filter(window_end__lte=until) if until else slots:
        verdict = (verdicts or {}).get(slot.check_name, "passed")
        now = slot.due_at
        mine = engine.claim(slot.pk, worker="test", now=now)
        measured = {
            "limits": LOOK,
            "performance": FIGURES | {"trades": 9, "net": "1", "financing": "-0.5"},
            "stops": STOPS,
        }
        engine.record(mine, Outcome(verdict, "", measured.get(slot.check_name, {})), started_at=now, now=now)
    return run


EARNED = FIGURES | {"trades": 9, "net": "1", "financing": "-0.5"}
STOPS = {"touches": 3, "executed": 3, "live": 2, "latencies_ms": [12.0], "slippage_worst_pips": "0.1"}
