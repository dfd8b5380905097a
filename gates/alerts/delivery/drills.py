"""Drills: each route in use gets a message out of its quiet hours and one within them, and whoever received it says so.

A message holds a code that stands nowhere else, so an answer proves that it came by this route. A message for other
hours waits for them, so a drill may take a day. Who said nothing in time was not reached.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from audits.verdicts import Verdict, merge
from gates.alerts.delivery.outbox import MOST_ROUTES, wake, way_of
from gates.alerts.delivery.routing import RANKS, Way
from gates.models import Delivery, Drill, DrillAnswer, Route

LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"  # none that is taken for another
CODE_LENGTH = 8
ANSWER_LIMIT = timedelta(minutes=15)
LEVEL = "high"  # behind what is critical, before the rest
TITLE = "DRILL: did you receive this?"
BODY = """This is a drill of the alerts, {when}. Nothing has happened.

Please sign in to the portal, open the drills, and give this code: {code}
It counts when it is given within 15 minutes."""


class DrillRefusedError(ValueError):
    """The drill or the answer cannot be; the message says why and what to do."""


@transaction.atomic
def start(person: User | None, now: datetime) -> Drill:
    """Start a drill of every route in use. Raises DrillRefusedError."""
    routes = list(Route.objects.filter(active=True).order_by("pk")[:MOST_ROUTES])
    if not routes:
        raise DrillRefusedError("There is no route in use: add one first.")
    drill = Drill.objects.create(started_at=now, started_by=person, routes=len(routes))
    Delivery.objects.bulk_create(
        Delivery(
            drill=drill,
            route_id=way.route_id,
            occasion=Delivery.Occasion.DRILL,
            key=f"drill-{drill.pk}-{'quiet' if quiet else 'open'}-route-{way.route_id}",
            level=LEVEL,
            rank=RANKS[LEVEL],
            title=TITLE,
            body=BODY.replace("{when}", "in quiet hours" if quiet else "out of quiet hours"),
            code=new_code(),
            quiet=quiet,
            cut_at=now,
            next_at=at,
        )
        for way in map(way_of, routes)
        for quiet, at in moments(way, now)
    )
    wake()
    return drill


def moments(way: Way, now: datetime) -> list[tuple[bool, datetime]]:
    """Return whether in quiet hours, and when, of each message of a route: the soonest moment of either kind."""
    if way.quiet is None:
        return [(False, now)]
    return [(False, way.quiet.ends(now)), (True, way.quiet.begins(now))]


def new_code() -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))


@transaction.atomic
def answer(code: str, person: User, now: datetime) -> DrillAnswer:
    """Note that this person received the message with this code. Raises DrillRefusedError."""
    wanted = code.strip().upper()
    row = Delivery.objects.filter(code=wanted, occasion=Delivery.Occasion.DRILL).first() if wanted else None
    if row is None:
        raise DrillRefusedError("No message of a drill has this code: copy it from the message as it stands there.")
    try:
        with transaction.atomic():
            return DrillAnswer.objects.create(delivery=row, person=person, at=now)
    except IntegrityError:
        raise DrillRefusedError("Somebody has answered this message already.") from None


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a drill, as it stands: whether it was received, and after how long since it was delivered."""

    route: str
    quiet: bool
    verdict: Verdict | None
    words: str
    answered_by: str = ""
    answered_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A drill as it stands. `verdict` is None while some message may still be received in time."""

    verdict: Verdict | None
    messages: tuple[Message, ...]


def judged(drill: Drill, now: datetime) -> Judged:
    """Judge a drill from its rows."""
    rows = drill.deliveries.select_related("route", "answer__person").order_by("route__name", "quiet")
    messages = tuple(_message(row, now) for row in rows)
    verdicts = [message.verdict for message in messages if message.verdict is not None]
    return Judged(merge(verdicts) if len(verdicts) == len(messages) else None, messages)


def _message(row: Delivery, now: datetime) -> Message:
    answered: DrillAnswer | None = getattr(row, "answer", None)
    verdict, words = judge(
        delivered_at=row.delivered_at,
        given_up=row.last_error if row.state == Delivery.State.GIVEN_UP else None,
        answered_at=answered.at if answered else None,
        now=now,
    )
    after = answered.at - row.delivered_at if answered and row.delivered_at else None
    who = str(answered.person) if answered else ""
    return Message(row.route.name, row.quiet, verdict, words, who, after)


def judge(
    *, delivered_at: datetime | None, given_up: str | None, answered_at: datetime | None, now: datetime
) -> tuple[Verdict | None, str]:
    """Say how one message went, or None while that is open. Pure.

    `given_up` says why it was, None where it was not. An answer counts even where the delivery was never noted: the
    code was read.
    """
    if answered_at is not None:
        late = delivered_at is not None and answered_at - delivered_at > ANSWER_LIMIT
        return (Verdict.FAILED, "answered too late") if late else (Verdict.PASSED, "received")
    if given_up is not None:
        return Verdict.FAILED, f"could not be delivered: {given_up}"
    if delivered_at is None:
        return None, "waits to be delivered"
    if now - delivered_at > ANSWER_LIMIT:
        return Verdict.FAILED, "delivered, and nobody answered in time"
    return None, "delivered, waits for an answer"
