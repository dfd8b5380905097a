"""A run of gate 2 as rows, as an engine would have left it in the middle: every kind of strike, verdict and phase."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db.models import F

from gates.chaos.plans import chaos_plan_for
from gates.chaos.scenarios import SCENARIOS
from gates.models import (
    Beat,
    Campaign,
    ChaosRun,
    CrashPoint,
    Heal,
    OperationBaseline,
    Run,
    RunEvent,
    ScenarioRun,
    Slot,
    Target,
)

START = datetime(2026, 11, 22, 11, 0, tzinfo=UTC)
SAID = (
    ("ledger", "BEGIN", "BEGIN acknowledged"),
    ("ledger", "INSERT INTO orders", "INSERT INTO orders acknowledged"),
    ("ledger", "COMMIT", "COMMIT acknowledged"),
    ("broker", "POST orders", "POST orders answered 201"),
    ("ledger", "INSERT INTO executions", "INSERT INTO executions acknowledged"),
)
MESSAGES = [
    {
        "channel": channel,
        "direction": direction,
        "label": f"{channel}: {label}",
        "point": f"{channel}:{direction}:1:{request}",
        "at_ms": 3.5 * number + (direction == "answer"),
    }
    for number, (channel, request, answer) in enumerate(SAID)
    for direction, label in (("request", request), ("answer", answer))
]
FINDING = {
    "rule": "orphan position",
    "level": "critical",
    "sentence": "The broker holds trade 13, and the ledger knows nothing of it.",
    "expected": "1 position",
    "measured": "none",
    "difference": "",
    "where": {"broker_trade_id": "13"},
}
CHANGES = {
    "orders": {"added": {"o-1": {"order_id": "o-1", "units": "1000", "status": "filled"}}, "removed": {}},
    "accounts": {"changed": {"101": {"balance": ["100000.0000", "99999.5000"]}}},
}


def staged_run(
    user: User | None = None,
    *,
    profile: str = "rehearsal",
    start: datetime = START,
    campaign: Campaign | None = None,
    only_point: str = "",
    depth: int = 1,
) -> Run:
    """A run of all twelve that is going on: the first scenario is over and failed, the second is being struck, the
    third has its clean run, the others wait."""
    target, _ = Target.objects.get_or_create(name="fx-desk", defaults={"spec": {}, "created_at": start})
    within = campaign or Campaign.objects.create(target=target, profile=profile, build="sha256:0a1b", started_at=start)
    plan = chaos_plan_for(profile)
    run = Run.objects.create(
        campaign=within,
        gate=2,
        plan=asdict(plan),
        planned_start=start,
        planned_end=start + timedelta(seconds=plan.limit_s),
        cursor=5,
    )
    ChaosRun.objects.create(
        run=run,
        started_by=user,
        counted=campaign is not None,
        not_counted_because="" if campaign else "Gate 1 has not passed: gates open in order.",
        mode=plan.mode,
        sampled=plan.sampled or None,
        only_point=only_point,
        depth=depth,
    )
    RunEvent.objects.create(run=run, at=start, kind="started", sentence="Chaos on fx-desk started.")
    Beat.objects.update_or_create(kind="tick", defaults={"last_at": datetime.now(UTC)})
    for number, scenario in enumerate(SCENARIOS, start=1):
        _scenario(run, scenario.name, number)
    over, going, armed = run.scenarios.order_by("number")[:3]
    for each in (over, going, armed):
        _baseline(each)
    strike_all(over)
    _strike_some(going)
    close(over, "failed", "kill before at broker: POST orders answered 201 (open): an orphan.")
    going.phase, going.worker = "verifying", "here:1:1"
    going.save()
    ScenarioRun.objects.filter(pk=armed.pk).update(phase="armed", worker="here:1:1")
    return run


def _scenario(run: Run, name: str, number: int) -> ScenarioRun:
    end = run.planned_end
    slot = Slot.objects.create(
        run=run, check_name=name, window_start=run.planned_start, window_end=end, due_at=end, grace_until=end
    )
    return ScenarioRun.objects.create(run=run, slot=slot, name=name, number=number)


def _baseline(scenario: ScenarioRun) -> None:
    background = [{"point": "ledger:request:1:SELECT", "label": "ledger: SELECT FROM heartbeats"}]
    OperationBaseline.objects.create(
        scenario=scenario,
        operation="open",
        clean={"start": {}, "end": {}},
        messages=MESSAGES,
        background=background,
        took_ms=18.2,
        recorded_at=scenario.run.planned_start,
    )


def strike_all(scenario: ScenarioRun) -> None:
    """A kill at every message: most pass, one by another's durable state, one fails, one gives no evidence."""
    first = None
    for position, message in enumerate(MESSAGES):
        extra: dict[str, Any] = {}
        if message["label"] == "broker: POST orders answered 201":
            extra = {"verdict": "failed", "findings": [FINDING], "reason": FINDING["sentence"], "end": "neither"}
        elif message["label"] == "ledger: BEGIN":
            extra = {"verdict": "inconclusive", "receipt": None, "reason": "No receipt: the moment never came."}
        elif first is not None and position % 4 == 3:
            extra = {"same_as": first, "recovery_ms": None, "changes": {}}
        point = strike(scenario, position, "kill before", **extra)
        first = first or (point if point.verdict == "passed" else None)
    strike(scenario, 3, "kill after", changes={})
    for then_strike in ("kill before", "kill after"):
        then = {"then_point": MESSAGES[0]["point"], "then_label": MESSAGES[0]["label"], "then_strike": then_strike}
        strike(scenario, 6, "kill before", first=first, **then)


def _strike_some(scenario: ScenarioRun) -> None:
    """One done, one being struck, one that does not apply, one that waits."""
    open_fields = {"verdict": None, "receipt": None, "recovery_ms": None, "changes": {}, "finished_at": None}
    strike(scenario, 0, "kill before")
    lease = scenario.run.planned_start + timedelta(hours=1)
    strike(scenario, 1, "kill before", **open_fields, phase="struck", lease_until=lease)
    strike(scenario, 2, "kill before", **open_fields, applies=False, reason="No answer is due to it.")
    strike(scenario, 3, "kill before", **open_fields, phase="baseline", phase_at={}, messages=[], log="")


def strike(scenario: ScenarioRun, position: int, kind: str, **extra: Any) -> CrashPoint:
    """A passed strike at a message of the operation, but for what `extra` says."""
    message = MESSAGES[position]
    at = scenario.run.planned_start + timedelta(seconds=position)
    fields: dict[str, Any] = {
        "verdict": "passed",
        "phase": "done",
        "phase_at": {
            phase: (at + timedelta(milliseconds=120 * n)).isoformat()
            for n, phase in enumerate(("baseline", "armed", "struck", "healing", "recovering", "verifying", "done"))
        },
        "receipt": {
            "message": message["label"],
            "proof": {"pid": 4242, "signal": "SIGKILL", "took_ms": 11.5},
            "target_answered": 0,
            "target_said": "The connection was reset.",
        },
        "recovery_ms": 312.0 + position,
        "changes": CHANGES,
        "end": "done",
        "messages": ["ledger: BEGIN", f"→ {message['label']}"],
        "log": "WARNING the broker does not answer <yet>",
        "took_ms": 2100.5,
        "finished_at": at,
    }
    point = CrashPoint.objects.create(
        scenario=scenario,
        number=scenario.crash_points.count() + 1,
        operation="open",
        point=message["point"],
        label=message["label"],
        position=position,
        strike=kind,
        fault=kind,
        **fields | extra,
    )
    due = at + timedelta(seconds=180)
    healed = at if point.phase == "done" else None
    Heal.objects.create(
        crash_point=point, attempt=1, fault=kind, what={}, written_at=at, due_at=due, healed_at=healed, healed_by="here"
    )
    return point


def close(scenario: ScenarioRun, verdict: str, reason: str = "") -> None:
    """Close a scenario and fill its slot."""
    Slot.objects.filter(pk=scenario.slot_id).update(state="done", verdict=verdict)
    at = scenario.run.planned_start
    times = {"armed": at.isoformat(), "done": (at + timedelta(seconds=95)).isoformat()}
    ScenarioRun.objects.filter(pk=scenario.pk).update(phase="done", phase_at=times, reason=reason)
    Run.objects.filter(pk=scenario.run_id).update(cursor=F("cursor") + 1)
