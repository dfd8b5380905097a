"""How many targets gate 1 watches at production cadence on this machine without a missed slot.

1. Saturated: one minute's slots of `--scale` targets fall due at once; how fast they are done says where to look.
2. Real time: the slots of one production minute of N targets fall due evenly over one minute, and each must be done
   within 10 s of its due time (far inside its grace, so that a backlog that would grow shows within the minute).
   N goes down from the estimate until none is missed.

Measured: beat's real ticks, the workers that `up` starts, a durable PostgreSQL, Valkey, and the whole of every check
against one real desk and its broker simulator, which all targets share, on the same processors. A minute holds for
each 60 targets 60 health, 60 stops, 6 positions and 1 integrity slots, as in production. Not measured: a broker's
real latency, books that grew for months, pages being read meanwhile. Nothing is extrapolated: `targets_held` is the
N of a minute that was carried out.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F
from django.utils import timezone

from gates.campaigns.searching import last_transaction
from gates.checks import health
from gates.models import Campaign, Run, Slot, SlotResult, Target
from gates.plans import CANDLE_S, Cadence, plan_for
from gates.targets.access import access
from gates.targets.rehearsal import ACCOUNT, RehearsalPorts, rehearsal_processes
from wartest_site.benchmarks import Figures, Say
from wartest_site.benchmarks.premises import Portal, own_portal
from wartest_site.embedded.children import CannotStartError, free_port
from wartest_site.environment import BASE_DIR
from wartest_site.launch import beat_process, worker_processes
from wartest_site.supervisor import Supervisor

SCALE = 1_000
MINUTE_S = 60
LATE_S = 10
LEAD_S = 5
SATURATED_LIMIT_S = 60.0
TRIES = 3
READY_LIMIT_S = 180.0  # a busy machine takes long to start five processes
PLAN = plan_for("production")

Spec = dict[str, Any]


def measure(scale: int, say: Say) -> Figures:
    """Return `targets_held` and `slots_missed` of the best minute, with the figures behind them."""
    with own_portal() as portal, _supervised(portal, say) as supervisor:
        say("starting one desk, its broker, workers and beat")
        spec = _start_target(portal, supervisor)
        baseline = _baseline(spec)
        for worker in worker_processes(portal.env):
            supervisor.start(worker)
        supervisor.start(beat_process(portal.home, portal.env))
        _settle(spec, baseline)
        per_s = _saturate(_runs(scale, spec, baseline), say)
        targets = int(per_s / slots_per_target_s() * 0.9)
        figures: Figures = {"saturated_slots_per_s": round(per_s, 1), "targets_held": 0, "slots_missed": 0}
        for _ in range(TRIES):
            missed, worst_s = _hold_one_minute(_runs(targets, spec, baseline), say)
            figures |= {"slots_missed": missed, "latest_slot_s": round(worst_s, 2)}
            if not missed:
                return figures | {"targets_held": targets}
            targets = int(targets * 0.8)
        return figures


def slots_per_target_s() -> float:
    """How many slots of one target fall due in a second of production."""
    return sum(1 / cadence.every_s for cadence in PLAN.cadences)


@contextmanager
def _supervised(portal: Portal, say: Say) -> Iterator[Supervisor]:
    supervisor = Supervisor(logs=portal.home / "log", cwd=BASE_DIR, say=say)
    try:
        yield supervisor
    finally:
        supervisor.stop()


def _start_target(portal: Portal, supervisor: Supervisor) -> Spec:
    """Start a desk that opens a few positions and keeps them, and its broker; say how they are reached."""
    ports, token = RehearsalPorts(free_port(), free_port(), free_port()), secrets.token_urlsafe(16)
    ledger_url = portal.server.create_database("desk")
    broker, desk = rehearsal_processes(portal.home, ports, ledger_url, token)
    supervisor.start(replace(broker, argv=(*broker.argv, "--tick-ms", "1000")))
    far = ("--stop-pips", "500", "--take-profit-pips", "500")
    supervisor.start(replace(desk, argv=(*desk.argv, "--trade-every-s", "1", *far)))
    return {
        "ledger": {"url": ledger_url, "schema": "wartest"},
        "broker": {"url": f"http://127.0.0.1:{ports.broker}", "account": ACCOUNT, "token": token},
        "process": {"health": f"http://127.0.0.1:{ports.desk}/health"},
    }


def _baseline(spec: Spec) -> dict[str, Any]:
    """What the desk is, once it is well. Raises CannotStartError."""
    ends = time.monotonic() + READY_LIMIT_S
    while time.monotonic() < ends:
        seen = health.observe(access(spec))
        if seen.get("status") == "ok":
            return {key: seen[key] for key in health.IDENTITY} | {"last_transaction_id": last_transaction(access(spec))}
        time.sleep(0.2)
    raise CannotStartError("the rehearsal desk was not well in time")


def _runs(targets: int, spec: Spec, baseline: dict[str, Any]) -> list[Run]:
    """Make as many targets, each with a running gate 1 that has days to go; no run of before is left running."""
    now = timezone.now()
    Slot.objects.filter(state=Slot.State.DUE).update(state=Slot.State.HOLE, verdict="inconclusive")
    Run.objects.filter(state=Run.State.RUNNING).update(state="closed", verdict="inconclusive", closed_at=now)
    ends = now + timedelta(days=3)
    made = Target.objects.count()
    rows = Target.objects.bulk_create(
        Target(name=f"desk-{made + number}", spec=spec, created_at=now) for number in range(targets)
    )
    campaigns = Campaign.objects.bulk_create(
        Campaign(target=row, profile="production", build=baseline["build"], started_at=now) for row in rows
    )
    runs = Run.objects.bulk_create(
        Run(
            campaign=campaign,
            gate=1,
            plan=asdict(PLAN),
            baseline=baseline,
            planned_start=now - timedelta(hours=1),
            planned_end=ends,
        )
        for campaign in campaigns
    )
    Slot.objects.bulk_create(_slot(run, PLAN.cadences[0], ends) for run in runs)
    return runs


def _slot(run: Run, cadence: Cadence, due_at: datetime) -> Slot:
    closes = (due_at - timedelta(seconds=cadence.delay_s)).timestamp() // CANDLE_S * CANDLE_S
    end = datetime.fromtimestamp(closes, tz=due_at.tzinfo)
    return Slot(
        run=run,
        check_name=cadence.check_name,
        window_start=end - timedelta(seconds=cadence.every_s),
        window_end=end,
        due_at=due_at,
        grace_until=due_at + timedelta(seconds=cadence.grace_s),
    )


def _minute(runs: list[Run], begin: datetime, length_s: float) -> list[Slot]:
    """One production minute of all runs: of each check as many slots as fall due in it, evenly over `length_s`."""
    slots = []
    for place, cadence in enumerate(PLAN.cadences):
        count = max(1, round(len(runs) * MINUTE_S / cadence.every_s))
        for number in range(count):
            due_at = begin + timedelta(seconds=(number + place / len(PLAN.cadences)) * length_s / count)
            slots.append(_slot(runs[number * len(runs) // count], cadence, due_at))
    return Slot.objects.bulk_create(slots)


def _settle(spec: Spec, baseline: dict[str, Any]) -> None:
    """Wait until nearly every slot passes: the desk has stops to be judged. Raises CannotStartError."""
    ends = time.monotonic() + READY_LIMIT_S
    while True:
        slots = _minute(_runs(60, spec, baseline), timezone.now(), 1)
        _wait_for(slots, 30)
        results = SlotResult.objects.filter(slot__in=[slot.pk for slot in slots])
        passed = results.filter(verdict="passed").count()
        if passed >= len(slots) * 0.9:
            return
        if time.monotonic() > ends:
            reasons = results.exclude(verdict="passed").values_list("reason", flat=True).distinct()[:3]
            why = " ".join(reasons) or "the workers did none in time"
            raise CannotStartError(f"only {passed} of {len(slots)} slots passed: {why}")


def _wait_for(slots: list[Slot], limit_s: float) -> int:
    """Wait until all of them are done, at most `limit_s`. Returns how many are."""
    ids = [slot.pk for slot in slots]
    ends = time.monotonic() + limit_s
    while True:
        done = Slot.objects.filter(pk__in=ids, state=Slot.State.DONE).count()
        if done == len(ids) or time.monotonic() > ends:
            return done
        time.sleep(0.5)


def _saturate(runs: list[Run], say: Say) -> float:
    """Return slots done per second while there is always more to do."""
    slots = _minute(runs, timezone.now(), 0)
    say(f"saturated: {len(slots)} slots due at once")
    done = _wait_for(slots, SATURATED_LIMIT_S)
    results = SlotResult.objects.filter(slot__in=[slot.pk for slot in slots]).order_by("finished_at")
    if done < len(slots) / 20:
        raise CannotStartError(f"only {done} of {len(slots)} slots were done in {SATURATED_LIMIT_S:.0f} s")
    moments = list(results.values_list("finished_at", flat=True))
    per_s = len(moments) / (moments[-1] - moments[0]).total_seconds()
    say(f"{per_s:.1f} slots/s, which is {per_s / slots_per_target_s():.0f} targets")
    return per_s


def _hold_one_minute(runs: list[Run], say: Say) -> tuple[int, float]:
    """Let one minute of production pass. Returns how many slots were missed, and how late the latest one was, in s."""
    begin = timezone.now() + timedelta(seconds=LEAD_S)
    slots = _minute(runs, begin, MINUTE_S)
    say(f"one minute of production for {len(runs)} targets: {len(slots)} slots")
    time.sleep(LEAD_S + MINUTE_S)
    _wait_for(slots, LATE_S)
    done = SlotResult.objects.filter(slot__in=[slot.pk for slot in slots])
    lates = [late.total_seconds() for late in done.values_list(F("finished_at") - F("slot__due_at"), flat=True)]
    missed = len(slots) - sum(late <= LATE_S for late in lates)
    worst_s = max(lates, default=float(LATE_S))
    passed = done.filter(verdict="passed").count()
    say(f"{missed} missed, the latest {worst_s:.1f} s after its due time, {passed} of {len(lates)} passed")
    return missed, worst_s
