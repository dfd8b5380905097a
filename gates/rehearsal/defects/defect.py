"""What a planted defect is: which parts of the desk it replaces, and how whoever rehearses makes it show."""

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Replacement:
    """One named part of the desk, of a module or a class, and what stands in its place."""

    owner: Any
    name: str
    by: Any


@dataclass(frozen=True)
class Step:
    """One thing to do to a running desk, its broker or its market. Seconds end in `_s`.

    | do | what | body |
    |---|---|---|
    | ask | one of the six operations | the request |
    | tick | – | instrument, bid, ask: the price is moved by hand |
    | control | a path of the broker's control port | the request |
    | heal | – | every fault of the broker is disarmed |
    | kill, start | – | SIGKILL to the desk; a new one on the same books |
    | killed_ask | an operation | SIGKILL `after_s` (0.7) after it was asked for; the request |
    | killed_start | – | a new one, SIGKILL `after_s` (1.0) after it answers |
    | wait | – | `for_s` |
    | watch | – | `for_s`: the checks of gate 1, again and again, while the desk trades by itself |
    | live | – | `for_s`: it is let trade by its switch, and gate 4's limits look at its orders |
    | sql | a statement, by another session on the desk's database | – |
    """

    do: str
    what: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Defect:
    """One defect, as data.

    `gate` is the first gate that must catch it, `rules` the rules that it must be found by: each of them, else it was
    caught for another reason. A defect of gate 2 names the `scenarios` that must catch it, the `operations` of them in
    which it shows (all, where none is named), and how many strikes that takes: `depth` 2 is one more in the recovery.
    `begin_at` says, for each of the strikes, how fault and message begin in words where it shows soonest, as in `lose
    the answer at ledger: COMMIT acknowledged #2` (the second of this label): the search begins there, and goes on with
    every other message.
    `steps` make it show by hand, and `by_hand` are the rules that the books alone break then; empty where they are
    right, and only what was dealt gives it away. `origin` is where it was met in public.
    """

    name: str
    title: str
    gate: int
    rules: tuple[str, ...]
    replaces: tuple[Replacement, ...]
    origin: str = ""
    steps: tuple[Step, ...] = ()
    scenarios: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    depth: int = 1
    begin_at: tuple[str, ...] = ()
    by_hand: tuple[str, ...] = ()

    def shown(self) -> dict[str, Any]:
        """The defect without its code, for JSON."""
        parts = [f"{_name_of(part.owner)}.{part.name}" for part in self.replaces]
        return {
            "name": self.name,
            "title": self.title,
            "story": _story_of(self.name),
            "origin": self.origin,
            "gate": self.gate,
            "rules": list(self.rules),
            "scenarios": list(self.scenarios),
            "operations": list(self.operations),
            "depth": self.depth,
            "begin_at": list(self.begin_at),
            "by_hand": list(self.by_hand) or (list(self.rules) if self.gate != 2 else []),
            "steps": [asdict(step) for step in self.steps],
            "replaces": parts,
        }


def ask(operation: str, **body: Any) -> Step:
    """Ask the desk for an operation."""
    return Step("ask", operation, body)


def tick(instrument: str, bid: str, ask: str) -> Step:
    """Move a price."""
    return Step("tick", "", {"instrument": instrument, "bid": bid, "ask": ask})


def control(path: str, /, **body: Any) -> Step:
    """Ask the broker's control port."""
    return Step("control", path, body)


def fault(kind: str, **limits: Any) -> Step:
    """Arm a fault of the broker."""
    return control("/faults", kind=kind, **limits)


def watch(for_s: float) -> Step:
    """Let the desk trade and look at it as gate 1 does."""
    return Step("watch", "", {"for_s": for_s})


def live(for_s: float) -> Step:
    """Let the desk trade by its switch, as gate 4 does, and look at its orders by a plan's limits."""
    return Step("live", "", {"for_s": for_s})


def wait(for_s: float) -> Step:
    """Let the desk be."""
    return Step("wait", "", {"for_s": for_s})


HEAL = Step("heal")
KILL = Step("kill")
START = Step("start")


def _story_of(name: str) -> str:
    """What the defect is, in the first words of its file."""
    module = sys.modules.get(f"{__package__}.{name.replace('-', '_')}")
    return " ".join((module.__doc__ or "" if module else "").partition("\n\n")[0].split())


def _name_of(owner: Any) -> str:
    module = getattr(owner, "__module__", None)
    name = str(owner.__name__)
    return f"{module.rpartition('.')[2]}.{name}" if module else name.rpartition(".")[2]
