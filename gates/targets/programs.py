"""A target's program as its description tells it: how to start it in a cell, when it is ready, how to ask it things.

Shape (TOML or JSON): `[process] command, environment, ready` and `[operations]` (`asks.py`). Texts may hold
`{ledger_url}`, `{broker_url}`, `{account}`, … (`PLACES`), which a cell fills with its own. A variable may
name a secret, `env:NAME` or `file:/path`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from gates.targets.access import TargetUnreachableError
from gates.targets.asks import OPERATIONS, Ask, read_ask
from gates.targets.filling import filled, secrets_of, variable
from gates.targets.rehearsal import cell_program
from gates.targets.words import PLACES

__all__ = ["OPERATIONS", "PLACES", "Ask", "Program", "program_of", "read_program"]
START_LIMIT_S = 30.0
STOP_LIMIT_S = 5.0
CATCH_UP_S = 60.0  # as long as a recovery may take


@dataclass(frozen=True, slots=True)
class Program:
    """A program and how to talk to it. `ready` answers 200 once it is ready, and again once it has recovered; what the
    answer says of its `status` counts too, unless the target is judged `by_status_code`. Its books are right then, or
    at most `catch_up_s` later.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    ready: str
    operations: Mapping[str, Ask]
    folder: str | None = None
    start_limit_s: float = START_LIMIT_S
    stop_limit_s: float = STOP_LIMIT_S
    by_status_code: bool = False
    catch_up_s: float = CATCH_UP_S
    secrets: tuple[str, ...] = field(default=(), repr=False)  # hidden in what it says

    def filled(self, places: Mapping[str, str]) -> "Program":
        """The same program with every place filled in. Raises TargetUnreachableError for an unknown place."""
        return replace(
            self,
            command=tuple(filled(part, places) for part in self.command),
            environment={name: filled(value, places) for name, value in self.environment.items()},
            ready=filled(self.ready, places),
            folder=filled(self.folder, places) if self.folder else None,
            operations={name: ask.filled(partial(filled, places=places)) for name, ask in self.operations.items()},
        )


def program_of(spec: Mapping[str, Any]) -> Program:
    """The target's own program, or the bundled desk's where the description is that of the rehearsal target; with the
    defects that its `[process] defects` names.
    """
    return read_program(cell_program(planted_in(spec)) if _is_bundled(spec) else spec)


def planted_in(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The defects that cells start the bundled desk with: another build, then, than that of the desk that trades."""
    return tuple((spec.get("process") or {}).get("defects") or ()) if _is_bundled(spec) else ()


def _is_bundled(spec: Mapping[str, Any]) -> bool:
    process = spec.get("process") or {}
    return str(process.get("health", "")).startswith("rehearsal:") and not process.get("command")


def read_program(spec: Mapping[str, Any]) -> Program:
    """Read `[process]` and `[operations]` of a target's description. Raises TargetUnreachableError naming the fault."""
    process = spec.get("process") or {}
    command = process.get("command")
    if not isinstance(command, list | tuple) or not command or not all(isinstance(part, str) for part in command):
        raise TargetUnreachableError("The target's description lacks [process] command: give a list of words.")
    ready = process.get("ready")
    if not isinstance(ready, str) or not ready.startswith("http"):
        raise TargetUnreachableError("The target's description lacks [process] ready: give an http address.")
    environment = process.get("environment") or {}
    program = Program(
        command=tuple(command),
        environment={
            str(name): variable(f"[process] environment.{name}", value) for name, value in environment.items()
        },
        ready=ready,
        operations={name: read_ask(name, ask) for name, ask in (spec.get("operations") or {}).items()},
        folder=process.get("folder"),
        start_limit_s=float(process.get("start_limit_s") or START_LIMIT_S),
        stop_limit_s=float(process.get("stop_limit_s") or STOP_LIMIT_S),
        by_status_code=process.get("health_by") == "status code",
        catch_up_s=CATCH_UP_S if process.get("catch_up_s") is None else float(process["catch_up_s"]),
        secrets=secrets_of("[process] environment", environment),
    )
    program.filled(dict.fromkeys(PLACES, "0"))
    return program
