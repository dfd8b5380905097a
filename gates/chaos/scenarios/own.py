"""A user's own scenarios, as `[[scenarios]]` of a target's description tells them. Pure.

```toml
[[scenarios]]
name = "answer_lost_at_the_order"
operation = "open"
strike = "lose the answer"            # or any other of `STRIKES`, with its `parameters`
at = "broker: POST orders"            # messages whose label begins so; `point` names one exactly; neither: all of them
expectation = "done"                  # or "not done"; without it either of both ends is right

[[scenarios]]
name = "paused_for_three_seconds"
operation = "close"
experiment = "/srv/desk/chaos/pause.json"   # a Chaos Toolkit experiment, from the first message on
```

They are struck, recovered from and audited like the twelve, and counted beside them: gate 2 passes with neither alone.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gates.chaos.baseline import CrashPoint
from gates.chaos.faults import fault_of
from gates.chaos.faults.fault import parameters
from gates.chaos.messages import Channel, Direction, Point, Strike
from gates.chaos.scenarios.scenario import EITHER_END, Aim, Scenario, Where, both, everywhere, on, requests
from gates.targets.access import TargetUnreachableError
from gates.targets.programs import OPERATIONS

MOST = 50
NAME = re.compile(r"[a-z][a-z0-9_]{2,39}")
ENDS = ("done", "not done")
KEYS = ("name", "title", "operation", "strike", "parameters", "at", "point", "expectation", "experiment", "limit_ms")
STRIKES = tuple(strike for strike in Strike if strike not in (Strike.STALE_LOOKUP, Strike.EXPERIMENT))
EXPERIMENT_LIMIT_MS, LONGEST_EXPERIMENT_MS = 20_000, 60_000
LOCK_MS = 2_000
LEDGER_ONLY = (Strike.DEADLOCK, Strike.LOCK_HELD, Strike.TERMINATE_BACKEND)


def own_scenarios(spec: Mapping[str, Any], taken: Iterable[str] = ()) -> tuple[Scenario, ...]:
    """Those of a target's description, in its order; none of their names is `taken`.

    Raises TargetUnreachableError naming the first that cannot be followed, and what to write instead.
    """
    listed = spec.get("scenarios") or ()
    if not isinstance(listed, list | tuple) or len(listed) > MOST:
        raise TargetUnreachableError(f"[[scenarios]] must be a list of at most {MOST} tables.")
    names = set(taken)
    found = []
    for number, table in enumerate(listed, start=1):
        scenario = _scenario(f"[[scenarios]] number {number}", table)
        if scenario.name in names:
            raise TargetUnreachableError(f"[[scenarios]] number {number}: the name {scenario.name!r} is taken already.")
        names.add(scenario.name)
        found.append(scenario)
    return tuple(found)


def _scenario(where: str, table: object) -> Scenario:
    if not isinstance(table, Mapping):
        raise TargetUnreachableError(f'{where} must be a table: name = "…", operation = "open", strike = "…".')
    unknown = [key for key in table if key not in KEYS]
    if unknown:
        raise TargetUnreachableError(f"{where} has an unknown key {unknown[0]!r}: use {', '.join(KEYS)}.")
    name, operation = table.get("name"), table.get("operation")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise TargetUnreachableError(f"{where} needs a name of 3 to 40 small letters, digits and underscores.")
    if operation not in OPERATIONS:
        raise TargetUnreachableError(f"{where} ({name}) needs an operation: one of {', '.join(OPERATIONS)}.")
    end = table.get("expectation", "")
    if end not in ("", *ENDS):
        raise TargetUnreachableError(f'{where} ({name}): expectation must be "done" or "not done"; leave it out else.')
    aim = _experiment(where, table) if "experiment" in table else _strike(where, table)
    title = str(table.get("title") or name.replace("_", " ").capitalize())[:80]
    expects = f"{end or EITHER_END}, the books right to the last digit, and trading goes on"
    return Scenario(name, title, (operation,), (aim,), expects=expects, end=end)


def _strike(where: str, table: Mapping[str, Any]) -> Aim:
    try:
        strike = Strike(str(table.get("strike")))
    except ValueError:
        strike = Strike.EXPERIMENT
    if strike not in STRIKES:
        raise TargetUnreachableError(f"{where} needs a strike: one of {', '.join(STRIKES)}; or an experiment.")
    given = table.get("parameters") or ({"lock_ms": LOCK_MS} if strike is Strike.LOCK_HELD else {})
    if not isinstance(given, Mapping):
        raise TargetUnreachableError(f"{where}: parameters must be a table, like {{ delay_ms = 2000 }}.")
    try:
        taken = _parameters(strike, dict(given))
    except ValueError as error:
        raise TargetUnreachableError(f"{where}: {error}.") from None
    return Aim(strike, _where(where, strike, table), taken)


def _parameters(strike: Strike, given: dict[str, Any]) -> dict[str, Any]:
    """All parameters of the fault, those that are not given too. Raises ValueError for what it does not take."""
    if strike is Strike.LOCK_HELD:
        lock_ms = given.get("lock_ms")
        if set(given) != {"lock_ms"} or type(lock_ms) is not int or not 1 <= lock_ms <= LONGEST_EXPERIMENT_MS:
            raise ValueError(f"{strike} takes lock_ms, a whole number from 1 to {LONGEST_EXPERIMENT_MS}")
    elif strike is Strike.DEADLOCK:
        if given:
            raise ValueError(f"{strike} takes no parameters")
    else:
        return parameters(fault_of(strike, given))
    return given


def _where(where: str, strike: Strike, table: Mapping[str, Any]) -> Where:
    """At one point, at the labels that begin so, or at every message where such a strike can be made."""
    at, point = table.get("at", ""), table.get("point", "")
    if at and point:
        raise TargetUnreachableError(f"{where} has both at and point: keep one of them.")
    if not isinstance(at, str) or not isinstance(point, str):
        raise TargetUnreachableError(f"{where}: at and point are texts.")
    possible = on(Channel.LEDGER, requests) if strike in LEDGER_ONLY else everywhere
    if point:
        try:
            only = Point.parse(point)
        except ValueError as error:
            raise TargetUnreachableError(f"{where}: {error}.") from None
        return lambda each: each.point == only
    return both(possible, lambda each: each.label.startswith(at))


def _experiment(where: str, table: Mapping[str, Any]) -> Aim:
    """From the first message of the operation on."""
    path, limit_ms = table["experiment"], table.get("limit_ms", EXPERIMENT_LIMIT_MS)
    if not isinstance(path, str) or not path.startswith("/") or not path.endswith((".json", ".yaml", ".yml")):
        raise TargetUnreachableError(f"{where}: experiment must be the whole path of a .json or .yaml file.")
    beside = [key for key in ("strike", "parameters", "at", "point") if key in table]
    if beside:
        raise TargetUnreachableError(f"{where} has both experiment and {beside[0]}: keep one of them.")
    if type(limit_ms) is not int or not 100 <= limit_ms <= LONGEST_EXPERIMENT_MS:
        raise TargetUnreachableError(f"{where}: limit_ms must be a whole number from 100 to {LONGEST_EXPERIMENT_MS}.")
    return Aim(Strike.EXPERIMENT, _first_request, {"experiment": path, "limit_ms": limit_ms})


def _first_request(each: CrashPoint) -> bool:
    """Positions count messages in the order of the clean run, of which the first is always a request."""
    return each.position == 0 and each.point.direction is Direction.REQUEST
