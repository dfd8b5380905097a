"""What `manage.py watch` does at each look: ask all parts within a bounded time, alarm, ping the outer switch."""

import http.client
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from django.db import DatabaseError
from django.utils import timezone

from gates import pulses
from gates.pulses import Stopped

LOOK_LIMIT_S = 8.0
PING_LIMIT_S = 5.0
WEB_LIMIT_S = 5.0  # it asks PostgreSQL and Valkey itself, and waits for either
AGAIN_S = 900.0
LOOKS = 2  # so many in a row must find a part stopped: one may have come just while it was started


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Nobody else is asked than who was named."""

    def redirect_request(self, *args: Any) -> None:
        return None


def look(limit_s: float, web: str = "") -> tuple[Stopped, ...]:
    """Return the parts that have stopped; a server that lets us hang is one that does not answer.

    `web` is where the portal's pages are; without it nobody asks for them.
    """
    nothing: dict[str, float | None] = {"valkey": 0.0}
    try:
        with _at_most(LOOK_LIMIT_S):
            ages = pulses.look(timezone.now())
    except (TimeoutError, DatabaseError):
        ages = nothing
    if web:
        ages["web"] = web_s(web)
    return pulses.judge(ages, limit_s)


def web_s(url: str) -> float | None:
    """Return after how many seconds the web server answered, whatever it said, or None."""
    began = time.monotonic()
    try:
        urllib.request.build_opener(_NoRedirect).open(f"{url.rstrip('/')}/healthz", timeout=WEB_LIMIT_S).close()
    except urllib.error.HTTPError:
        pass  # that a part has stopped is an answer too
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return time.monotonic() - began


@contextmanager
def _at_most(limit_s: float) -> Iterator[None]:
    """Raise TimeoutError in the block when it takes longer; for the main thread alone."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def ping(url: str) -> str:
    """Ask the outer dead-man's switch. Returns what is wrong, without its address: who knows it could ask too.

    A switch that does not answer alarms by itself; it is no reason to stop watching.
    """
    try:
        urllib.request.build_opener(_NoRedirect).open(url, timeout=PING_LIMIT_S).close()
    except urllib.error.HTTPError as error:
        return f"The dead-man's switch answered {error.code}."
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"The dead-man's switch did not answer: {getattr(error, 'reason', type(error).__name__)}."
    return ""


@dataclass(slots=True)
class Alarms:
    """Which parts were said to have stopped, and when. `route` is the address of the watcher's own route, or empty.

    An alarm that could not be sent is sent again at the next look; one that was is said again every quarter of an hour.
    A part that stands on one that has stopped is not well again: nobody knows how it is.
    """

    route: str = field(repr=False)
    say: Callable[[str], object]
    seen: dict[str, int] = field(default_factory=dict)
    told_s: dict[str, float] = field(default_factory=dict)
    since: dict[str, str] = field(default_factory=dict)

    def hear(self, stopped: tuple[Stopped, ...], now_s: float) -> None:
        """Take what a look found, at this monotonic time."""
        self.since = {each.part.kind: self.since.get(each.part.kind) or _moment() for each in stopped} | {
            kind: moment for kind, moment in self.since.items() if kind in self.told_s
        }
        self.seen = {each.part.kind: self.seen.get(each.part.kind, 0) + 1 for each in stopped}
        for each in stopped:
            told_s = self.told_s.get(each.part.kind)
            due = told_s is None or now_s - told_s >= AGAIN_S
            if self.seen[each.part.kind] >= LOOKS and due and self._alarm(each.sentence, each.part.kind):
                self.told_s[each.part.kind] = now_s
        hidden = {part.kind for part in pulses.TABLE if self.seen.keys() & set(part.stands_on)}
        for kind in set(self.told_s) - set(self.seen) - hidden:
            name = next(part.name for part in pulses.TABLE if part.kind == kind)
            if self._alarm(f"Well again: {name.rstrip(',')}.", kind, level="medium"):
                del self.told_s[kind]

    def _alarm(self, sentence: str, kind: str, level: str = "critical") -> bool:
        from gates.alerts.delivery.sending import Letter, send  # noqa: PLC0415 - loads apprise, for an alarm only

        self.say(sentence)
        if not self.route:
            return True
        letter = Letter(
            address="env:WATCH_ROUTE",
            key=f"watch-{kind}-{self.since[kind]}{'' if level == 'critical' else '-well'}",
            level=level,
            title="The portal has stopped" if level == "critical" else "The portal goes on",
            body=sentence,
        )
        trouble = send(letter)
        if trouble:
            self.say(f"The alarm could not be sent by WATCH_ROUTE: {trouble}")
        return not trouble


def _moment() -> str:
    return f"{timezone.now():%Y%m%dT%H%M%SZ}"
