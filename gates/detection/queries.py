"""What is known of each planted defect: the catalogue, and its last rehearsals."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.utils import timezone

from gates.detection.builds import war_test_build
from gates.detection.catalogue import Planted, catalogue
from gates.models import Rehearsal, RehearsedDefect

GATES = (1, 2, 3, 4)
CAUGHT = RehearsedDefect.Outcome.CAUGHT
STATUSES = {
    CAUGHT: "passed",
    RehearsedDefect.Outcome.OTHER_REASON: "inconclusive",
    RehearsedDefect.Outcome.MISSED: "failed",
    RehearsedDefect.Outcome.NOT_SHOWN: "inconclusive",
}
AFTERWARDS = {  # at the gates behind the one that must catch it
    CAUGHT: "never",
    RehearsedDefect.Outcome.OTHER_REASON: "never",
    RehearsedDefect.Outcome.MISSED: "through",
    RehearsedDefect.Outcome.NOT_SHOWN: "unknown",
}
GOING_ON = timedelta(hours=2)  # a rehearsal that has not ended by then was killed
HEAVY = ("findings", "strike", "result", "reason")
MOST_EARLIER = 20

planted_defects = cache(catalogue)
"""Every defect, asked of the target once in the life of a process. Raises OSError, subprocess.SubprocessError."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One defect on its way through the gates, by its last rehearsal: where it is stopped, or that nobody knows."""

    defect: Planted
    last: RehearsedDefect | None

    @property
    def status(self) -> str:
        """`passed` when it was caught for its own reason, `waiting` when it was never rehearsed."""
        return STATUSES[RehearsedDefect.Outcome(self.last.outcome)] if self.last else "waiting"

    @property
    def word(self) -> str:
        return self.last.outcome if self.last else "not yet run"

    @property
    def steps(self) -> list[tuple[int, str]]:
        """For each gate: `stop` (it must be caught there), `through` (it was missed, and goes on to this one), `never`
        (something was found, so that the campaign has stopped), else `unknown`: nobody looked there.
        """
        return [(gate, self._step(gate)) for gate in GATES]

    def _step(self, gate: int) -> str:
        if gate == self.defect.gate:
            return "stop"
        if gate < self.defect.gate or self.last is None:
            return "unknown"
        return AFTERWARDS[RehearsedDefect.Outcome(self.last.outcome)]

    @property
    def finding(self) -> dict[str, str] | None:
        """The first finding by the rule that must find it, else the first of all."""
        found = self.last.findings if self.last else []
        own = [each for each in found if each["rule"] in self.defect.rules]
        return (own or found or [None])[0]


@dataclass(frozen=True, slots=True)
class CleanDesk:
    """What these rehearsals say of the clean desk: the worst of them."""

    rehearsals: Sequence[Rehearsal]

    @property
    def verdict(self) -> str:
        verdicts = {each.clean_verdict for each in self.rehearsals}
        return next(verdict for verdict in ("failed", "inconclusive", "passed") if verdict in verdicts)

    @property
    def strikes(self) -> int:
        return sum(each.clean_strikes for each in self.rehearsals)

    @property
    def findings(self) -> list[dict[str, Any]]:
        return [finding for each in self.rehearsals for finding in each.clean_findings or ()]

    @property
    def silent(self) -> list[str]:
        """Where nothing is known of it, in words."""
        unended = ["a rehearsal that did not end"] * any(each.ended_at is None for each in self.rehearsals)
        return [*unended, *(words for each in self.rehearsals for words in each.clean_silent)]


@dataclass(frozen=True, slots=True)
class Standing:
    """The whole catalogue, and what its last rehearsals say of it."""

    lanes: Sequence[Lane]
    going_on: Rehearsal | None
    build: str

    def count(self, status: str) -> int:
        """How many stand so."""
        return sum(lane.status == status for lane in self.lanes)

    @property
    def caught(self) -> int:
        return self.count("passed")

    @property
    def clean(self) -> "CleanDesk | None":
        """The clean desk in the places of every lane's last rehearsal; None where none was rehearsed."""
        rehearsals = {lane.last.rehearsal_id: lane.last.rehearsal for lane in self.lanes if lane.last}
        return CleanDesk(tuple(rehearsals.values())) if rehearsals else None

    @property
    def stale(self) -> int:
        """How many were rehearsed by another build of the war test."""
        return sum(lane.last is not None and lane.last.rehearsal.build != self.build for lane in self.lanes)

    @property
    def oldest_at(self) -> datetime | None:
        """When the oldest of the last rehearsals was."""
        return min((lane.last.at for lane in self.lanes if lane.last), default=None)

    @property
    def cursor(self) -> int:
        """Moves whenever something new is known."""
        newest = max((lane.last.pk for lane in self.lanes if lane.last), default=0)
        return 2 * newest + (self.going_on is None)

    @property
    def status(self) -> str:
        """Passed only when each is caught for its own reason and the clean desk raised nothing."""
        if self.going_on:
            return "running"
        if self.count("failed") or (self.clean and self.clean.verdict == "failed"):
            return "failed"
        if self.caught == len(self.lanes) and self.clean and self.clean.verdict == "passed":
            return "passed"
        return "waiting" if self.count("waiting") == len(self.lanes) else "inconclusive"


def standing() -> Standing:
    """The catalogue with the last rehearsal of each. Raises OSError, subprocess.SubprocessError."""
    last = _last(RehearsedDefect.objects.defer("result").select_related("rehearsal"))
    going = Rehearsal.objects.filter(ended_at=None, started_at__gt=timezone.now() - GOING_ON)
    return Standing(
        lanes=tuple(Lane(defect, last.get(defect.name)) for defect in planted_defects()),
        going_on=going.order_by("-started_at").first(),
        build=war_test_build(),
    )


def earlier(name: str) -> list[RehearsedDefect]:
    """The rehearsals of one defect, newest first."""
    found = RehearsedDefect.objects.filter(defect=name).select_related("rehearsal").defer("result", "reason")
    return list(found.order_by("-at", "-pk")[:MOST_EARLIER])


def _last(rows: "Iterable[RehearsedDefect]") -> dict[str, RehearsedDefect]:
    newest = RehearsedDefect.objects.order_by("defect", "-at", "-pk").distinct("defect").values("pk")
    return {row.defect: row for row in rows.filter(pk__in=newest)}  # type: ignore[attr-defined]
