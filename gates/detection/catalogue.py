"""The catalogue of planted defects, as the rehearsal target tells it: data, never imported."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gates.targets.rehearsal import defect_catalogue


class UnknownDefectError(LookupError):
    """There is no defect of this name; the message names those that there are."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do to a running desk, its broker or its market."""

    do: str
    what: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Planted:
    """One defect: `gate` must catch it first, by each of `rules`; at gate 2 in one of its `scenarios` and `operations`
    (all of them, where none is named), by `depth` strikes, and soonest where their words begin as `begin_at` says.

    `by_hand` are the rules that the books break after its `steps`, empty where only what was dealt gives it away.
    """

    name: str
    title: str
    story: str
    origin: str
    gate: int
    rules: tuple[str, ...]
    scenarios: tuple[str, ...]
    operations: tuple[str, ...]
    depth: int
    begin_at: tuple[str, ...]
    by_hand: tuple[str, ...]
    steps: tuple[Step, ...]
    replaces: tuple[str, ...]

    @property
    def trades(self) -> bool:
        """Whether the desk must trade by itself for the defect to show."""
        return any(step.do in ("watch", "live") for step in self.steps)


def catalogue() -> tuple[Planted, ...]:
    """Every defect, in the order of the gates. Raises OSError, subprocess.SubprocessError."""
    return tuple(_planted(entry) for entry in defect_catalogue())


def named(defects: Iterable[Planted], name: str) -> Planted:
    """The defect of this name. Raises UnknownDefectError."""
    known = {defect.name: defect for defect in defects}
    if name not in known:
        raise UnknownDefectError(f"There is no defect {name!r}: choose one of {', '.join(known)}, or --all.")
    return known[name]


def _planted(entry: dict[str, Any]) -> Planted:
    return Planted(
        name=entry["name"],
        title=entry["title"],
        story=entry["story"],
        origin=entry["origin"],
        gate=entry["gate"],
        rules=tuple(entry["rules"]),
        scenarios=tuple(entry["scenarios"]),
        operations=tuple(entry["operations"]),
        depth=entry["depth"],
        begin_at=tuple(entry["begin_at"]),
        by_hand=tuple(entry["by_hand"]),
        steps=tuple(Step(**step) for step in entry["steps"]),
        replaces=tuple(entry["replaces"]),
    )
