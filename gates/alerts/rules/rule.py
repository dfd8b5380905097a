"""What a rule is, and what it says of one look. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gates.alerts.rules.observed import Observed

Thresholds = Mapping[str, float]


def moment(at: datetime) -> str:
    """A time as sentences say it: to the millisecond, UTC."""
    utc = at.astimezone(UTC)
    return f"{utc:%Y-%m-%d %H:%M:%S}.{utc.microsecond // 1000:03d} UTC"


@dataclass(frozen=True, slots=True)
class Breach:
    """One thing that is an alert. `key` tells it apart from others of its rule, so that it is raised once.

    `event_at` is when it happened: where a rule gives time, the moment at which that time was over.
    """

    key: str
    sentence: str
    event_at: datetime
    threshold: str
    cause: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one look shows: breaches; or in words that it is `clean`; or, with neither, why it was `not_judged`.

    With `waits` nothing has happened since the last look that could be judged: what was said then still stands.
    """

    breaches: tuple[Breach, ...] = ()
    clean: str = ""
    not_judged: str = ""
    waits: bool = False

    @property
    def state(self) -> str:
        """`firing`, `clean` or `not judged`."""
        if self.breaches:
            return "firing"
        return "clean" if self.clean else "not judged"


@dataclass(frozen=True, slots=True)
class Runbook:
    """What whoever is called at night must know."""

    means: str
    look_at: str
    leave_alone: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One of the thirteen. `watches` says what it is judged by, `rechecked_by` what clean look resolves its alert."""

    name: str
    level: str
    watches: str
    thresholds: tuple[str, ...]
    rechecked_by: str
    runbook: Runbook
    judge: Callable[[Observed, Thresholds], Judgement]


def judged(breaches: tuple[Breach, ...], clean: str) -> Judgement:
    """Breaches where there are any, else clean in these words."""
    return Judgement(breaches) if breaches else Judgement(clean=clean)


def unseen(why: str) -> Judgement:
    """Nothing is proven: no evidence is neither a breach nor clean."""
    return Judgement(not_judged=why)


def nothing_new(why: str) -> Judgement:
    """Nothing has happened that could be judged: what was said before still stands."""
    return Judgement(not_judged=why, waits=True)
