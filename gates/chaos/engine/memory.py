"""What an engine remembers of the durable states that kills have left.

Only what the rows hold is remembered: a strike whose result could not be written down is made again, and then finds
nothing said of its state and no recovery from it taken for recorded.
"""

from dataclasses import dataclass, field

from gates.chaos.strikes.recovery import Result
from gates.chaos.strikes.trying import Judged
from gates.models import CrashPoint

Deep = tuple[int, str, str]


@dataclass(slots=True)
class Memory:
    """By scenario and operation: what came of each state, and which crash point records the recovery from it."""

    _judged: dict[tuple[int, str, bool], dict[str, Judged]] = field(default_factory=dict)
    _deepened: dict[Deep, int] = field(default_factory=dict)

    def judged(self, point: CrashPoint) -> dict[str, Judged]:
        """The states that strikes of the same depth have left and that were followed."""
        return self._judged.get(_strikes(point), {})

    def takes(self, point: CrashPoint, exact: str) -> bool:
        """Let the crash point record the recovery from exactly this state, until `forget`; False where another has or
        does. Where nothing exact is said no other stands for it.
        """
        taken = (point.scenario_id, point.operation, exact or str(point.pk))
        return self._deepened.setdefault(taken, point.pk) == point.pk

    def keep(self, point: CrashPoint, result: Result) -> None:
        """Remember what was written down. A half-open strike says nothing of a plain one that left the same state."""
        if result.exact and result.same_as is None and not point.half_open:
            known = Judged(point.pk, result.verdict, result.reason)
            self._judged.setdefault(_strikes(point), {}).setdefault(result.exact, known)

    def forget(self, point: CrashPoint) -> None:
        """Of a crash point whose result was not written down."""
        self._deepened = {exact: by for exact, by in self._deepened.items() if by != point.pk}


def _strikes(point: CrashPoint) -> tuple[int, str, bool]:
    return point.scenario_id, point.operation, bool(point.then_point)
