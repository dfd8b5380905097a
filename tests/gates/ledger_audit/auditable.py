"""A target whose books a test writes: a real PostgreSQL ledger, and stand-ins for broker and health."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from django.utils import timezone
from psycopg import sql

from audits.contract import RELATIONS
from audits.transactions import moment_of
from gates import commands
from gates.ledger_audit import filling, lease
from gates.ledger_audit.commands import Asked, start_audit
from gates.models import LedgerAudit, Run, Target
from tests.audits.answers import Answers, answering, as_json
from tests.audits.books import ACCOUNT, NOON, Books, BooksBroker, create_sql, text_at

BUILD = "sha256:0"


@dataclass
class Auditable:
    """The target's row, its books, and the stand-in; set `broker.answer` to let the broker misbehave."""

    target: Target
    books: Books
    ledger_url: str
    broker: Answers

    def sql(self, statement: str) -> None:
        with psycopg.connect(self.ledger_url, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def auditable(books: Books, server: Any, *, name: str = "fx-desk") -> Iterator[Auditable]:
    """Write the books into a fresh database, serve the broker's side of them, and register the target."""
    ledger_url = str(server.create_database(f"audited_{uuid.uuid4().hex[:12]}"))
    write_ledger(books, ledger_url)
    with answering(lambda path, query: answer(books, path, query)) as broker:
        spec = {
            "ledger": {"url": ledger_url, "schema": "wartest"},
            "broker": {"kind": "oanda", "url": broker.url, "account": ACCOUNT, "token": "a-token"},
            "process": {"kind": "command", "health": f"{broker.url}/health"},
        }
        target, _ = Target.objects.update_or_create(name=name, defaults={"spec": spec, "created_at": NOON})
        yield Auditable(target, books, ledger_url, broker)


def write_ledger(books: Books, url: str) -> None:
    """Write the ledger's rows into the database as the contract's relations."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(create_sql())
        for relation in RELATIONS:
            names = [column.name for column in relation.columns]
            insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier("wartest", relation.name),
                sql.SQL(", ").join(map(sql.Identifier, names)),
                sql.SQL(", ").join(sql.Placeholder() for _ in names),
            )
            for row in books.rows(relation.name):
                connection.execute(insert, [row.get(name) for name in names])


def answer(books: Books, path: str, query: dict[str, str]) -> Any:
    """Answer as the broker's interface does, for the requests that an audit makes."""
    if path == "/health":
        return as_json({"status": "ok", "build": BUILD})
    if path.endswith("/transactions/idrange"):
        within = range(int(query["from"]), int(query["to"]) + 1)
        found = [record for record in books.transactions if int(record["id"]) in within]
        return as_json({"transactions": found, "lastTransactionID": books.account["lastTransactionID"]})
    if path.endswith("/transactions/sinceid"):
        found = [record for record in books.transactions if int(record["id"]) > int(query["id"])]
        return as_json({"transactions": found, "lastTransactionID": books.account["lastTransactionID"]})
    if path.endswith("/pricing"):
        return as_json({"prices": [], "time": text_at(90)})
    if path.endswith("/candles"):
        told = BooksBroker(books).candles("EUR_USD", moment_of(query["from"]), moment_of(query["to"]))
        return as_json({"candles": told})
    return as_json({"account": books.account})


def started(desk: Auditable, *, by: Any = None, **asked: Any) -> Run:
    """Start an audit in the smoke profile."""
    return start_audit(Asked(desk.target, "smoke", **asked), started_by=by, now=timezone.now())


def claimed(run: Run) -> LedgerAudit:
    """Take the lease of the audit, as the tick does."""
    audit = LedgerAudit.objects.select_related("run__campaign__target").get(run=run)
    audit.attempt = lease.claim(audit.pk, worker="test", now=timezone.now())
    return audit


def work(run: Run) -> Run:
    """Do the audit's work in this process, then close the run."""
    filling.fill(claimed(run))
    return commands.close_run(run.pk, timezone.now())
