"""Rehearsing alerts: each of the thirteen rules provoked on a running portal, and followed to whoever must hear of it.

Of each is kept what was done, what the alert names as its cause, and when it was raised, on the inbox, and whole at a
web receiver and a mail receiver: in ms since the event, by the clock of whoever told it.
"""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path

import httpx
import psycopg
from django.utils import timezone

from gates.alerts.delivery.routes import Wanted, add_route
from gates.alerts.provoking.market import Did
from gates.alerts.provoking.place import Place, provoking_place
from gates.alerts.provoking.provocations import Provocation
from gates.alerts.rules import BY_NAME, RULES
from gates.detection.ground import Ground, GroundError
from gates.models import Alert, RuleWatch
from wartest_site.benchmarks.receivers import Receiver, mail_receiver, web_receiver
from wartest_site.embedded.children import CannotStartError, free_port, last_lines
from wartest_site.rehearsal import own_server, start
from wartest_site.signed_in import inbox, signed_in
from wartest_site.whole_portal import PERSON, WholePortal, whole_portal

TARGET = "provoked desk"
LEVELS = ("critical", "high", "medium")
LIMIT_MS = 5000  # from the event to whoever must hear of it
WATCHED_LIMIT_S = 120.0
USUAL_LIMIT_S = 60.0
RAISED_LIMIT_S = 45.0
HEARD_LIMIT_S = 30.0
RESOLVED_LIMIT_S = 90.0
POLL_S = 0.05

Say = Callable[[str], None]


class Outcome(StrEnum):
    """What became of one rule."""

    PASSED = "passed"
    NOT_PROVOKED = "not provoked"
    FAILED = "failed"


@dataclass(slots=True)
class Followed:
    """One rule, from what was done to who heard of it. Times in ms since the event; None for what did not come."""

    rule: str
    level: str
    what: str
    sentence: str = ""
    raised_ms: float | None = None
    web_ms: float | None = None
    mail_ms: float | None = None
    listed: bool = False
    alerts: int = 0
    openings: int = 0
    recheck: str = ""
    alert: int | None = None
    troubles: list[str] = field(default_factory=list)
    not_provoked: bool = False

    @property
    def said_against(self) -> list[str]:
        """What is wrong, each in a sentence."""
        wrong = list(self.troubles)
        if self.raised_ms is None:
            return wrong or ["it was not raised"]
        if not self.listed:
            wrong.append("it was not on the inbox")
        for name, came_ms in (("web", self.web_ms), ("mail", self.mail_ms)):
            if came_ms is None:
                wrong.append(f"no message came to the {name} receiver")
            elif came_ms > LIMIT_MS:
                wrong.append(f"the {name} receiver had its message after {came_ms:.0f} of {LIMIT_MS} ms")
        return wrong if self.recheck else [*wrong, "no clean look resolved it"]

    @property
    def outcome(self) -> "Outcome":
        """Passed only where nothing is said against it."""
        if self.not_provoked:
            return Outcome.NOT_PROVOKED
        return Outcome.FAILED if self.said_against else Outcome.PASSED


@dataclass(frozen=True)
class Scene:
    """Where a rehearsal takes place: the portal, whoever reads its inbox, both receivers, and what is provoked."""

    portal: WholePortal
    reader: httpx.Client
    web: Receiver
    mail: Receiver
    place: Place


@contextmanager
def scene(say: Say) -> Iterator[Scene]:
    """Bring everything up, on servers and in a folder of its own, gone with the block. Raises CannotStartError."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wartest-alerts-")))
        web, mail = stack.enter_context(web_receiver()), stack.enter_context(mail_receiver())
        env = {
            "REHEARSAL_WEB": f"json://127.0.0.1:{web.port}/",
            "REHEARSAL_MAIL": f"mailto://127.0.0.1:{mail.port}?from=portal@example.org&to=duty@example.org",
        }
        say("starting a portal of its own")
        portal = stack.enter_context(whole_portal(home / "portal", say, env))
        for name in ("web", "mail"):
            add_route(Wanted(name, f"env:REHEARSAL_{name.upper()}", LEVELS), timezone.now())
        say("starting what is provoked: a broker, a desk, their ledger")
        server = stack.enter_context(own_server())
        ground = Ground(home, start, server.create_database, free_port)
        stack.enter_context(ground.running())
        place = stack.enter_context(provoking_place(ground, TARGET, timezone.now()))
        reader = stack.enter_context(signed_in(portal.url, PERSON, portal.password))
        watched = RuleWatch.objects.filter(run=place.run)
        if not _await(lambda: watched.count() == len(RULES), WATCHED_LIMIT_S):
            raise CannotStartError(_not_watched(portal, place, watched.count()))
        yield Scene(portal, reader, web, mail, place)


def _not_watched(portal: WholePortal, place: Place, rules: int) -> str:
    """What is known of streams that did not begin in time."""
    stood = "ran" if portal.child("streams").alive() else "had ended"
    place.run.refresh_from_db()
    return (
        f"The streams did not begin to watch the desk within {WATCHED_LIMIT_S:.0f} s: "
        f"{rules} of {len(RULES)} rules were watched, the run is {place.run.state}, their process {stood} and said "
        f"last: {last_lines(portal.supervisor.log_of('streams'), count=6)}"
    )


def rehearse(on: Scene, provocations: Iterable[Provocation], say: Say) -> Iterator[list[Followed]]:
    """Provoke them one after the other; yield what became of each as soon as it was heard of.

    Whether each was resolved by a clean look, and raised once, is added at the end of all, to the same rows.
    """
    done: list[tuple[Provocation, Followed]] = []
    for provocation in provocations:
        if provocation.at_last:
            _settle(on, done, say)
        say(provocation.what)
        rows = _provoked(on, provocation)
        done += [(provocation, row) for row in rows]
        yield rows
    _settle(on, done, say)
    for _, row in done:
        _judge(on, row)


def _provoked(on: Scene, provocation: Provocation) -> list[Followed]:
    """Provoke one thing, and follow each alert that it must raise for as long as the provocation lasts."""
    rows = [Followed(rule, BY_NAME[rule].level, provocation.what) for rule in provocation.raises]
    for row in rows:
        usual = provocation.after.get(row.rule, "")
        if usual and not _is_usual(on, row.rule, usual):
            row.not_provoked = True
            row.troubles.append(f"the watch did not say {usual!r} of it: {_says(on, row.rule)}")
        if _alerts(on, row.rule):
            row.troubles.append("it was raised before it was provoked")
    if any(row.not_provoked for row in rows):
        for row in rows:
            row.not_provoked = True
        return rows
    try:
        with provocation.begin(on.place) as did:
            for row in rows:
                _followed(on, provocation, did, row)
    except (GroundError, httpx.HTTPError, psycopg.Error, OSError) as error:
        for row in rows:
            row.not_provoked = row.raised_ms is None
            row.troubles.append(f"{type(error).__name__}: {error}")
    return rows


def _is_usual(on: Scene, rule: str, words: str) -> bool:
    return _await(lambda: words in _says(on, rule), USUAL_LIMIT_S)


def _followed(on: Scene, provocation: Provocation, did: Did, row: Followed) -> None:
    alert = _raised(on, provocation, row.rule)
    if alert is None:
        row.troubles.append(f"not raised within {RAISED_LIMIT_S:.0f} s; the watch says {_says(on, row.rule)}")
        return
    row.alert, row.sentence, row.raised_ms = alert.pk, alert.sentence, _ms(alert.event_at, alert.raised_at)
    if not provocation.raises[row.rule](alert.cause, did):
        row.troubles.append(f"raised for another cause than what was done: {alert.cause}")
    if alert.level != row.level:
        row.troubles.append(f"raised as {alert.level}")
    row.listed = _await(lambda: alert.pk in inbox(on.reader), HEARD_LIMIT_S)
    row.web_ms, row.mail_ms = (_heard_ms(receiver, alert) for receiver in (on.web, on.mail))
    if provocation.lasts and Alert.objects.filter(pk=alert.pk, state=Alert.State.RESOLVED).exists():
        row.troubles.append("resolved while its cause lasted")


def _raised(on: Scene, provocation: Provocation, rule: str) -> Alert | None:
    def look() -> Alert | None:
        provocation.again(on.place)
        return next(iter(_alerts(on, rule)), None)

    return _await(look, RAISED_LIMIT_S)


def _heard_ms(receiver: Receiver, alert: Alert) -> float | None:
    """Return when the first message of the alert was there in full, in ms since the event; None when it never came."""
    key = f"alert-{alert.pk}-1-raised-"

    def look() -> datetime | None:
        return next((each.at for each in list(receiver.received) if each.key.startswith(key)), None)

    at = _await(look, HEARD_LIMIT_S)
    return None if at is None else _ms(alert.event_at, at)


def _settle(on: Scene, done: list[tuple[Provocation, Followed]], say: Say) -> None:
    """Await that a clean look has resolved each of them, doing what a look needs to see."""
    say("waiting for clean looks")
    ends = time.monotonic() + RESOLVED_LIMIT_S
    for provocation, row in done:
        look = partial(_is_resolved, on, provocation, row.alert)
        _await(look, max(0.0, ends - time.monotonic()), poll_s=0.5)


def _is_resolved(on: Scene, provocation: Provocation, alert: int | None) -> bool:
    if alert is None or Alert.objects.filter(pk=alert, state=Alert.State.RESOLVED).exists():
        return True
    with suppress(GroundError, httpx.HTTPError):  # it is done again at the next look
        provocation.clean(on.place)
    return False


def _judge(on: Scene, row: Followed) -> None:
    """Say by what look it was resolved, and how often the rule was raised in all."""
    if row.alert is None:
        return
    alert, alerts = Alert.objects.get(pk=row.alert), _alerts(on, row.rule)
    row.alerts, row.openings, row.recheck = len(alerts), alert.openings, alert.recheck
    if alert.state != Alert.State.RESOLVED:
        row.troubles.append(f"not resolved within {RESOLVED_LIMIT_S:.0f} s: {_says(on, row.rule)}")
    elif alert.rechecked_at is None or alert.rechecked_at <= alert.last_at:
        row.troubles.append("resolved by a look from before it happened last")
    if len(alerts) > 1:
        row.troubles.append(f"raised as {len(alerts)} alerts")


def _alerts(on: Scene, rule: str) -> list[Alert]:
    return list(Alert.objects.filter(run=on.place.run, rule=rule).order_by("pk")[:10])


def _says(on: Scene, rule: str) -> str:
    row = RuleWatch.objects.filter(run=on.place.run, rule=rule).first()
    return f"{row.state}: {row.words}" if row else "nothing"


def _await[T](look: Callable[[], T], limit_s: float, *, poll_s: float = POLL_S) -> T:
    """Return the first true answer, or what was answered last when the limit has passed."""
    ends = time.monotonic() + limit_s
    while not (answer := look()) and time.monotonic() < ends:
        time.sleep(poll_s)
    return answer


def _ms(since: datetime, until: datetime) -> float:
    return (until - since).total_seconds() * 1000
