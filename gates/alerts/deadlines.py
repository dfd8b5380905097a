"""How long an alert may wait, who hears of it next, and when it is said again. One table, and pure functions of it.

An alert that nobody has acknowledged is said again after pauses that double, and goes to one more role at each step
past its deadline. One that is acknowledged goes no further, but is said again while it is not resolved.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from gates.role_names import ENGINEER, OWNER, RISK_OFFICER

ORDER = (ENGINEER, RISK_OFFICER, OWNER)  # who hears of it first, next, last
LONGEST_PAUSE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pace:
    """Of one level. `escalates`: after its deadline, when the second and the third role hear of it."""

    escalates: tuple[timedelta, ...]
    first_pause: timedelta
    acknowledged_pause: timedelta


PACES = {
    "critical": Pace((timedelta(minutes=2), timedelta(minutes=5)), timedelta(minutes=5), timedelta(hours=1)),
    "high": Pace((timedelta(0), timedelta(minutes=30)), timedelta(minutes=20), timedelta(hours=4)),
    "medium": Pace((timedelta(0), timedelta(hours=2)), timedelta(hours=1), timedelta(days=1)),
}
assert all(len(pace.escalates) == len(ORDER) - 1 for pace in PACES.values())  # noqa: S101
assert all(first <= then for pace in PACES.values() for first, then in pairwise(pace.escalates))  # noqa: S101


@dataclass(frozen=True, slots=True)
class Waiting:
    """An alert that is not resolved, as far as its deadline goes.

    `told_at` is when it was last said (raised, reminded or escalated), `reminders` how often it was said again since
    it opened; `role` who heard of it last.
    """

    level: str
    deadline_at: datetime
    acknowledged: bool
    role: str
    told_at: datetime
    reminders: int


@dataclass(frozen=True, slots=True)
class Escalate:
    """Say it to this role."""

    role: str


@dataclass(frozen=True, slots=True)
class Remind:
    """Say it again; `number` counts from 1 since the alert opened."""

    number: int


def next_step(alert: Waiting, now: datetime) -> Escalate | Remind | None:
    """Return what is due now: one step at most, the next role before a reminder."""
    role = next_role(alert, now)
    if role:
        return Escalate(role)
    return Remind(alert.reminders + 1) if now >= reminded_at(alert) else None


def next_role(alert: Waiting, now: datetime) -> str:
    """Return the next role in the order once its time has come; empty while it has not, or nobody is left."""
    at = escalated_at(alert)
    return ORDER[_place(alert.role) + 1] if at is not None and now >= at else ""


def escalated_at(alert: Waiting) -> datetime | None:
    """Return when the next role hears of it, or None where nobody does."""
    place = _place(alert.role)
    if alert.acknowledged or place == len(ORDER) - 1:
        return None
    return alert.deadline_at + PACES[alert.level].escalates[place]


def looked_at(alert: Waiting) -> datetime:
    """Return when the next step is due."""
    return min(reminded_at(alert), escalated_at(alert) or reminded_at(alert))


def reminded_at(alert: Waiting) -> datetime:
    """Return when it is said again, if nothing else happens: pauses double, up to a day."""
    pace = PACES[alert.level]
    first = pace.acknowledged_pause if alert.acknowledged else pace.first_pause
    return alert.told_at + min(LONGEST_PAUSE, first * 2 ** min(alert.reminders, 16))


def roles_told(role: str) -> tuple[str, ...]:
    """Return everybody who has heard of an alert that has come to this role, in the order."""
    return ORDER[: _place(role) + 1]


def _place(role: str) -> int:
    return ORDER.index(role) if role in ORDER else 0
