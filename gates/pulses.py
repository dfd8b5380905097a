"""The pulses of the portal's own parts: which one has stopped, and what to look at. Pure, but for looking.

Where a part stands on another, only the lower one is named: without Valkey nothing ticks, and that says nothing of
whoever ticks.
"""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
import redis
from django.conf import settings
from django.db import connection
from redis.backoff import NoBackoff
from redis.retry import Retry

from gates.models import Beat

LIMIT_S = 10.0  # each shows its pulse about once a second
PROBE_S = 2.0


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the portal. `kind` names its pulse; `stands_on` what it cannot show one without; `means` what is not
    done while it stands still."""

    kind: str
    name: str
    log: str
    means: str
    stands_on: tuple[str, ...] = ()
    patience: float = 1.0  # how many limits it may be silent: workers that are all busy show it later


UNJUDGED = "nothing is judged, and slots become holes"
POSTGRES = Part("postgres", "PostgreSQL", "portal-postgres.log", "nothing is kept")
VALKEY = Part("valkey", "Valkey", "valkey.log", UNJUDGED)
WEB = Part("web", "the web server", "web.log", "nobody sees these pages", ("postgres", "valkey"))
TABLE = (
    POSTGRES,
    VALKEY,
    Part("beat", "beat, which sends the ticks,", "beat.log", UNJUDGED, ("postgres", "valkey")),
    Part("tick", "the ticker, the worker that does the ticks,", "ticker.log", UNJUDGED, ("postgres", "valkey", "beat")),
    Part(
        "worker",
        "the worker that does the checks",
        "worker.log",
        "no slot is checked, and what is not checked in time becomes a hole",
        ("postgres", "valkey", "beat", "tick"),
        2.0,
    ),
    Part(
        "streams",
        "the process that holds the streams",
        "streams.log",
        "no broker is heard: what happens meanwhile raises no alert, and what cannot be read later is a gap",
        ("postgres",),
    ),
    Part(
        "delivery",
        "the process that delivers alerts",
        "delivery.log",
        "alerts wait in the outbox and reach nobody who does not look at these pages",
        ("postgres",),
    ),
    WEB,
)
ANSWERING = (POSTGRES, VALKEY, WEB)
BEATING = tuple(part.kind for part in TABLE if part not in ANSWERING)


@dataclass(frozen=True, slots=True)
class Stopped:
    """A part that shows no pulse, and for how long; None where it never showed one, or could not be asked."""

    part: Part
    age_s: float | None

    @property
    def sentence(self) -> str:
        if self.part in ANSWERING:
            words = f"{self.part.name} does not answer: see {self.part.log}."
            return words[0].upper() + words[1:]
        since = "has shown no pulse yet" if self.age_s is None else f"has shown no pulse for {self.age_s:.0f} s"
        words = f"{self.part.name} {since}: is it stopped? See {self.part.log}."
        return words[0].upper() + words[1:]

    def strip(self, now: datetime) -> str:
        """What pages say: the same words while it stands still, so that a page that is open need not be told again."""
        if self.part in ANSWERING:
            says = "does not answer"
        elif self.age_s is None:
            says = "has shown no pulse yet"
        else:
            says = f"has shown no pulse since {now - timedelta(seconds=self.age_s):%Y-%m-%d %H:%M:%S} UTC"
        words = f"{self.part.name} {says}: {self.part.means}. See {self.part.log}."
        return words[0].upper() + words[1:]


def limit_s() -> float:
    """Return how old a pulse may be: more where ticks are set far apart."""
    return max(LIMIT_S, 4 * settings.ENVIRONMENT.tick_s)


def judge(ages: Mapping[str, float | None], limit_s: float) -> tuple[Stopped, ...]:
    """Return the parts that have stopped, in the order of the table, the lowest only. Pure.

    `ages` holds the age of each pulse in seconds, None where there is none; an age below 0 is a clock that was put
    back, and young.
    """
    stopped: list[Stopped] = []
    silent: set[str] = set()
    for part in TABLE:
        age_s = ages.get(part.kind)
        if age_s is not None and age_s <= limit_s * part.patience:
            continue
        if not silent.intersection(part.stands_on):
            stopped.append(Stopped(part, age_s))
        silent.add(part.kind)
    return tuple(stopped)


def look(now: datetime) -> dict[str, float | None]:
    """Return the age in seconds of every pulse; of a server it is the time that its answer took, or None.

    PostgreSQL is asked on a connection of its own first: one that hangs hangs for a bounded time. The web server is
    asked by `manage.py watch` alone, which may know its address: 0 here.
    """
    ages: dict[str, float | None] = dict.fromkeys(part.kind for part in TABLE)
    ages[WEB.kind] = 0.0
    ages["valkey"] = valkey_s()
    ages["postgres"] = postgres_s()
    if ages["postgres"] is not None:
        ages |= {kind: (now - at).total_seconds() for kind, at in last_pulses().items()}
    return ages


def standing_still(now: datetime) -> tuple[Stopped, ...]:
    """Return what has stopped, for pages: they are written from rows, so PostgreSQL answers, and Valkey is asked only
    where a part that stands on it is late."""
    ages: dict[str, float | None] = dict.fromkeys((part.kind for part in TABLE), None)
    ages |= {kind: (now - at).total_seconds() for kind, at in last_pulses().items()}
    ages |= {part.kind: 0.0 for part in ANSWERING}
    stopped = judge(ages, limit_s())
    if any(VALKEY.kind in each.part.stands_on for each in stopped):
        stopped = judge(ages | {VALKEY.kind: valkey_s()}, limit_s())
    return stopped


def last_pulses() -> dict[str, datetime]:
    """Read when each part last showed a pulse."""
    return dict(Beat.objects.filter(kind__in=BEATING).values_list("kind", "last_at"))


def postgres_s() -> float | None:
    """Return after how many seconds a new connection to PostgreSQL was open, or None."""
    place, began = connection.settings_dict, time.monotonic()
    with contextlib.suppress(psycopg.Error):
        psycopg.connect(
            dbname=place["NAME"],
            user=place["USER"],
            password=place["PASSWORD"],
            host=place["HOST"],
            port=place["PORT"],
            connect_timeout=int(PROBE_S),
        ).close()
        return time.monotonic() - began
    return None


def valkey_s() -> float | None:
    """Return after how many seconds Valkey answered, or None."""
    url, began = settings.ENVIRONMENT.redis_url.get_secret_value(), time.monotonic()
    with contextlib.suppress(redis.RedisError, ValueError):
        once = Retry(NoBackoff(), 0)
        with redis.Redis.from_url(url, socket_timeout=PROBE_S, socket_connect_timeout=PROBE_S, retry=once) as client:
            client.ping()
        return time.monotonic() - began
    return None
