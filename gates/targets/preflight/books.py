"""The books: do they answer, on a server of their own, may they be read, and do they have what the contract names?"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import psycopg
from django.db import DatabaseError, connection

from audits.contract import ACCOUNTS, RELATIONS, Relation
from audits.sources import Ledger, LedgerUnreadable
from audits.sources.hiding import without_secrets
from audits.sources.postgres import PostgresLedger
from gates.targets.access import Access
from gates.targets.ledgers import ledger_of
from gates.targets.preflight.need import Need, first_line
from gates.targets.reading import server_of

CONNECT_LIMIT_S = 5
COUNT_LIMIT_S = 10.0
CLOCK_LIMIT_S = 2.0
GROUP = "books"
# The identity that initdb gave the data directory: two addresses of one server have the same.
IDENTITY = "SELECT system_identifier FROM pg_control_system()"
RIGHTS = """
    SELECT current_user, bool_or(has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')),
        (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = ANY(%s)
"""
NEXT_STEPS = (  # what a server says, and what to do about it
    ("connection refused", "nothing listens there: start PostgreSQL, or correct the port in {where}"),
    ("password authentication failed", "the password is wrong: correct it in {where}"),
    ("no password supplied", "the server wants a password: add it to the address in {where}"),
    ("no pg_hba.conf entry", "the server lets nobody in from here: add a line for this machine to its pg_hba.conf"),
    ("timeout", "nobody answers: look at the firewall between, and at the host in {where}"),
    ("could not translate host name", "no such host: correct the name in {where}"),
    ("failed to resolve host", "no such host: correct the name in {where}"),
    ("does not exist", "create it, or correct its name in {where}"),
    ("too many", "the server is full: raise its max_connections, or let others go"),
    ("ssl", "the server and the address disagree on encryption: see sslmode in {where}"),
)


def books(access: Access, where: str) -> Iterator[Need]:
    """Look at the ledger. `where` names its address as the description does."""
    if access.ledger_key:
        yield Need(GROUP, "a server of its own", True, "it answers over HTTP: never host the portal beside it")
    else:
        answered = _server(access, where)
        yield from answered
        if not all(need.met for need in answered):
            yield Need(GROUP, "contract", None, "seen once the ledger answers")
            return
    yield from _contract(access)


def _server(access: Access, where: str) -> list[Need]:
    """What the server says of itself: that it answers, whose it is, its clock, and what its user may do."""
    began = time.monotonic()
    try:
        with psycopg.connect(access.ledger_url, connect_timeout=CONNECT_LIMIT_S, autocommit=True) as ledger:
            took_ms = (time.monotonic() - began) * 1000
            version = ledger.info.parameter_status("server_version") or "?"
            found = [Need(GROUP, "ledger answers", True, f"PostgreSQL {version}, connected in {took_ms:.0f} ms")]
            found.append(_of_its_own(ledger, access))
            return [*found, _rights(ledger, access), _clock(ledger)]
    except (psycopg.Error, ValueError, UnicodeError) as error:
        return [Need(GROUP, "ledger answers", False, without_secrets(next_step(error, where), access.ledger_url))]


def next_step(error: BaseException, where: str) -> str:
    """What the server said in one line, without the address, and what to do."""
    said = first_line(error)
    lowered = str(error).lower()
    step = next((step for sign, step in NEXT_STEPS if sign in lowered), "correct {where}")
    return f"{said.rpartition(': ')[2] or said}: {step.format(where=where)}"


def _of_its_own(ledger: psycopg.Connection, access: Access) -> Need:
    """A target whose ledger lives on the portal's own server would be hurt with it, and hurt it."""
    place = connection.settings_dict
    same = server_of(f"postgresql://{place['HOST'] or 'localhost'}:{place['PORT'] or 5432}")
    try:
        theirs = ledger.execute(IDENTITY).fetchone()
        with connection.cursor() as cursor:
            cursor.execute(IDENTITY)
            shared = theirs == cursor.fetchone()
    except (psycopg.Error, DatabaseError):  # not everybody may ask for it: then the addresses have to do
        shared = server_of(access.ledger_url) == same
    if shared:
        words = "the ledger is on the portal's own PostgreSQL: move one of them to another server"
        return Need(GROUP, "a server of its own", False, words)
    return Need(GROUP, "a server of its own", True, "nothing of it is the portal's")


def _rights(ledger: psycopg.Connection, access: Access) -> Need:
    names = [relation.name for relation in RELATIONS]
    row = ledger.execute(RIGHTS, (access.ledger_schema, names)).fetchone()
    user, may_write, is_super = row if row else ("?", None, None)
    if may_write or is_super:
        words = f"{user} could write too: GRANT SELECT alone would do, and the portal never writes"
        return Need(GROUP, "rights", True, words)
    if may_write is None:
        return Need(GROUP, "rights", None, f"seen once the schema {access.ledger_schema} has its relations")
    return Need(GROUP, "rights", True, f"{user} reads and cannot write: well done")


def _clock(ledger: psycopg.Connection) -> Need:
    row = ledger.execute("SELECT clock_timestamp()").fetchone()
    return clock_need(GROUP, "the ledger's clock", row[0] if row else None)


def clock_need(group: str, name: str, told: datetime | None, limit_s: float = CLOCK_LIMIT_S) -> Need:
    """Compare a clock with ours: what happened first is told by times."""
    if told is None:
        return Need(group, name, None, "it does not tell its time")
    apart_s = (told - datetime.now(UTC)).total_seconds()
    if abs(apart_s) <= limit_s:
        return Need(group, name, True, f"{abs(apart_s):.1f} s from ours")
    way = "ahead of" if apart_s > 0 else "behind"
    return Need(group, name, False, f"{abs(apart_s):,.0f} s {way} ours, at most {limit_s:g}: let both machines run NTP")


def _contract(access: Access) -> Iterator[Need]:
    """Each relation with its rows, or what it lacks."""
    before = ""
    for relation in RELATIONS:
        need = counted(relation, lambda: _reader(access), f"{access.ledger_schema}.{relation.name}")
        if need.met is False and need.words == before:
            yield Need(GROUP, "the other relations", None, "the same: seen once that is mended")
            return
        yield need
        before = need.words


def _reader(access: Access) -> Ledger:
    if access.ledger_key:
        return ledger_of(access)
    return PostgresLedger(access.ledger_url, access.ledger_schema, statement_timeout_s=COUNT_LIMIT_S)


def counted(relation: Relation, ledger: Callable[[], Ledger], name: str) -> Need:
    """One relation: its columns and types are the contract's, and how many rows it has."""
    try:
        with ledger().at_one_moment([relation]) as moment:
            count = moment.count(relation)
    except LedgerUnreadable as error:
        if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            return Need(GROUP, name, True, f"more rows than can be counted in {COUNT_LIMIT_S:.0f} s")
        return Need(GROUP, name, False, first_line(error))
    if count == 0 and relation is ACCOUNTS:
        return Need(GROUP, name, False, "no row: without an account nothing can be judged; let the view show one")
    words = (
        "no row yet: what rests on it stays inconclusive" if count == 0 else f"{count:,} row{'' if count == 1 else 's'}"
    )
    return Need(GROUP, name, True, words)
