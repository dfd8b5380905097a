"""Raise, fold, open again, resolve: however many processes see the same at once, it is one alert.

A storm folds by one conditional update per call, and calls may carry many events (`times`); a step is written for
the 1st, 10th, 100th, … and not for each. Nothing here waits for a message: who delivers finds rows.
"""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Greatest

from gates.alerts.delivery import outbox
from gates.alerts.thresholds import DEADLINES, HOLD, LEVEL_RANK, LONGEST_HOLD, QUIET
from gates.models import Alert, AlertStep, Run, Target
from gates.storable import storable

Kind = AlertStep.Kind
State = Alert.State
OPENED = (
    *("state", "level", "openings", "escalated_to", "recheck", "rechecked_at", "resolved_at"),
    *("sentence", "cause", "threshold", "count", "last_at", "deadline_at"),
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that is an alert: which rule, what happened in one sentence, when, and how often (`times`).

    `cause` holds keys of what it rests on, and in `by` who saw it: that is who must look again before it is resolved.
    `threshold` is the limit that was broken, in words.
    """

    rule: str
    level: str
    sentence: str
    event_at: datetime
    cause: dict[str, Any] = field(default_factory=dict)
    threshold: str = ""
    times: int = 1


def raise_alert(
    run: Run, *, rule: str, level: str, sentence: str, event_at: datetime, now: datetime, **more: Any
) -> Alert:  # the fields of one alert
    """Raise an alert of a run, or fold it into the one of this rule that is not resolved; `more` as in `Event`."""
    return raise_event(Event(rule, level, sentence, event_at, **more), target=run.campaign.target, run=run, now=now)


@transaction.atomic
def raise_event(event: Event, *, target: Target | None, run: Run | None, now: datetime) -> Alert:
    """Raise an alert, or fold the event into the one that stands; what cannot be stored of its texts is replaced.

    1. Fold: where an alert of this target, run and rule is not resolved, only its count and last time move.
    2. Else, alone with this key: look once more, for another may have been faster.
    3. Open again what was resolved within the quiet time: a condition that flaps is one alert.
    4. Else it is new.
    """
    event = replace(event, sentence=storable(event.sentence), cause=storable(event.cause))
    alert = _fold(event, target, run, now)
    if alert is None:
        _alone_with(target, run, event.rule)
        alert = _fold(event, target, run, now) or _reopen(event, target, run, now) or _new(event, target, run, now)
    return alert


def _same(rule: str, target: Target | None, run: Run | None) -> QuerySet[Alert]:
    return Alert.objects.filter(target=target, run=run, rule=rule)


def _fold(event: Event, target: Target | None, run: Run | None, now: datetime) -> Alert | None:
    standing = _same(event.rule, target, run).exclude(state=State.RESOLVED)
    if not standing.update(count=F("count") + event.times, last_at=Greatest("last_at", now)):
        return None
    alert = standing.get()
    before = alert.count - event.times
    _note_who_saw_it(alert, event)
    if LEVEL_RANK[event.level] > LEVEL_RANK[alert.level]:
        _open_again(alert, event, now)
    elif len(str(alert.count)) > len(str(before)):
        note(alert, Kind.FOLDED, now, words=event.sentence)
    return alert


def _note_who_saw_it(alert: Alert, event: Event) -> None:
    known, fresh = alert.cause.get("by", []), event.cause.get("by", [])
    if not set(fresh) <= set(known):
        alert.cause = alert.cause | {"by": sorted({*known, *fresh})}
        alert.save(update_fields=["cause"])


def _reopen(event: Event, target: Target | None, run: Run | None, now: datetime) -> Alert | None:
    resolved = _same(event.rule, target, run).filter(state=State.RESOLVED, resolved_at__gt=now - QUIET)
    alert = resolved.select_for_update().order_by("-resolved_at", "-pk").first()
    if alert is None:
        return None
    alert.count += event.times
    _open_again(alert, event, now)
    return alert


def _open_again(alert: Alert, event: Event, now: datetime) -> None:
    """It is open again: somebody has to say anew that they know, by a new deadline."""
    if LEVEL_RANK[event.level] > LEVEL_RANK[alert.level]:
        alert.level = event.level
    alert.state, alert.openings, alert.escalated_to = State.OPEN, alert.openings + 1, ""
    alert.recheck, alert.rechecked_at, alert.resolved_at = "", None, None
    who = sorted({*alert.cause.get("by", []), *event.cause.get("by", [])})
    alert.sentence, alert.cause, alert.threshold = event.sentence, event.cause | {"by": who}, event.threshold
    alert.last_at, alert.deadline_at = max(alert.last_at, now), now + DEADLINES[alert.level]
    alert.save(update_fields=OPENED)
    note(alert, Kind.REOPENED, now, words=event.sentence)
    outbox.cut(alert, "raised", now)


def _new(event: Event, target: Target | None, run: Run | None, now: datetime) -> Alert:
    alert = Alert.objects.create(
        target=target,
        run=run,
        rule=event.rule,
        level=event.level,
        sentence=event.sentence,
        cause=event.cause,
        threshold=event.threshold,
        count=event.times,
        event_at=event.event_at,
        raised_at=now,
        last_at=now,
        deadline_at=now + DEADLINES[event.level],
    )
    note(alert, Kind.RAISED, now, words=event.sentence)
    outbox.cut(alert, "raised", now)
    return alert


def _alone_with(target: Target | None, run: Run | None, rule: str) -> None:
    """Wait for whoever raises the same just now; the lock ends with the transaction."""
    key = f"alert {target and target.pk} {run and run.pk} {rule}".encode()
    number = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])


@transaction.atomic
def resolve(alert_id: int, *, rechecked_at: datetime, words: str, now: datetime) -> bool:
    """Resolve an alert by a re-check that was clean, begun at `rechecked_at` by our clock; `words` say what it saw.

    Returns False, and changes nothing, where it happened again since, came back so lately that it must be quiet for
    longer, or is resolved already.
    """
    alert = Alert.objects.select_for_update().exclude(state=State.RESOLVED).filter(pk=alert_id).first()
    if alert is None or rechecked_at <= alert.last_at or rechecked_at < alert.last_at + hold(alert.openings):
        return False
    alert.state, alert.recheck, alert.rechecked_at, alert.resolved_at = State.RESOLVED, words, rechecked_at, now
    alert.save(update_fields=["state", "recheck", "rechecked_at", "resolved_at"])
    note(alert, Kind.RESOLVED, now, words=words)
    outbox.cut(alert, "resolved", now)
    return True


def hold(openings: int) -> timedelta:
    """Return how long an alert must have been quiet before a clean re-check resolves it: longer the more it flaps."""
    return min(LONGEST_HOLD, HOLD * 2 ** min(openings - 2, 10)) if openings > 1 else timedelta(0)


def note(alert: Alert, kind: str, now: datetime, *, words: str = "", person: Any = None) -> AlertStep:
    """Write one line of an alert's history."""
    return AlertStep.objects.create(
        alert=alert, at=now, kind=kind, opening=alert.openings, count=alert.count, person=person, words=words
    )
