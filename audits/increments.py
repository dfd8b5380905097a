"""The incremental form: what was booked since an earlier snapshot, read and judged as a small ledger of its own.

An hourly look at a ledger of years must cost what the hour brought. It relies on four things, which only an audit of
the whole ledger proves, so gate 3 and the weekly audit never use it:

- the snapshot that the marks come from was judged and had passed, ledger and broker tied;
- balance events are only ever added, with rising sequences: an older row that was changed or removed is not seen, but
  for those of the last transaction, which are read again and compared;
- the broker's transactions do not change once they are made;
- an account's balance follows from its events: positions, orders and executions are not part of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from audits.checks import CHECKS, Check
from audits.contract import ACCOUNTS, BALANCE_EVENTS, Kind, Relation
from audits.exact_columns import SnapshotUnreadable, rows_of
from audits.snapshot import Snapshot, take_snapshot
from audits.sources import Broker, Ledger, LedgerMoment, LedgerUnreadable
from audits.tables import opened

MAX_NEW_ROWS = 500_000  # more than that is read as a whole snapshot
# The checks that say of an increment what they would say of the whole.
INCREMENT_CHECKS: tuple[Check, ...] = tuple(
    check
    for check in CHECKS
    if check.name in {"balance_row", "balance_chain", "balance_total", "tie_out", "broker_chain", "broker_balance"}
)

_NAMES = [column.name for column in BALANCE_EVENTS.columns]
_SEQUENCE = _NAMES.index("sequence")
_OPENING = [column.name for column in ACCOUNTS.columns].index("opening_balance")

# The events of each account's last transaction: where an increment takes hold of what was judged before.
_LAST = """
    WITH last AS (
        SELECT account_id, max(sequence) AS sequence, arg_max(broker_transaction_id, sequence) AS transaction
        FROM balance_events GROUP BY account_id
    )
    SELECT e.* FROM balance_events e JOIN last l ON e.account_id = l.account_id
       AND (e.sequence = l.sequence OR e.broker_transaction_id = l.transaction)
    ORDER BY e.account_id, e.sequence
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far an account was judged: the events of its last transaction, in the ledger's own sequences."""

    events: tuple[tuple[Any, ...], ...]

    @property
    def first(self) -> int:
        """The sequence with which an increment starts."""
        return int(self.events[0][_SEQUENCE])

    @property
    def opening(self) -> Decimal:
        """The balance before it."""
        return Decimal(self.events[0][_NAMES.index("balance_before")])

    @property
    def transaction(self) -> int:
        """The broker's transaction of these events; 0 where they name none, so that all are read."""
        named = self.events[-1][_NAMES.index("broker_transaction_id")]
        return int(named) if named and named.isascii() and named.isdigit() else 0


Marks = Mapping[str, Mark]


def marks_of(snapshot: Snapshot, before: Marks | None = None) -> Marks:
    """Return how far a snapshot goes, by account; `before` are the marks from which it was taken, if an increment.

    The caller sees to it that the snapshot has passed. Costs a look at the snapshot's balance events, no query.
    """
    with opened(snapshot, [BALANCE_EVENTS.name]) as database:
        rows = database.execute(_LAST).to_arrow_table()
    found: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows_of(BALANCE_EVENTS, rows):
        account_id = str(row[_NAMES.index("account_id")])
        mark = (before or {}).get(account_id)
        found.setdefault(account_id, []).append(_moved(row, mark.first - 1 if mark else 0))
    return {account_id: Mark(tuple(events)) for account_id, events in found.items()}


def marks_to_json(marks: Marks) -> dict[str, Any]:
    """Return marks as JSON: amounts and moments as text."""
    return {
        account_id: [[_to_text(value) for value in row] for row in mark.events] for account_id, mark in marks.items()
    }


def marks_from_json(kept: Mapping[str, Any]) -> Marks:
    """Return the marks that `marks_to_json` gave."""
    return {account_id: Mark(tuple(_row_from(row) for row in events)) for account_id, events in kept.items()}


def take_increment(
    ledger: Ledger,
    broker: Broker | Sequence[Broker],
    directory: Path,
    *,
    marks: Marks,
    tie_limit_s: float = 5.0,
) -> Snapshot:
    """Read what came after `marks` into `directory`, as a snapshot of accounts and balance events with their broker.

    An account opens with its balance at its mark, its events are numbered from 1 again, and the events of the last
    transaction before are in it too. Judge it with INCREMENT_CHECKS. Raises what `take_snapshot` raises, and
    SnapshotUnreadable where those events are no longer what they were, or too many came: then take a whole snapshot.
    """
    brokers = tuple(broker) if isinstance(broker, Sequence) else (broker,)
    return take_snapshot(
        _LedgerSince(ledger, marks),
        [_BrokerSince(each, marks) for each in brokers],
        directory,
        relations=(ACCOUNTS, BALANCE_EVENTS),
        tie_limit_s=tie_limit_s,
    )


@runtime_checkable
class _ReadsFrom(Protocol):
    """A moment that can read the end of a relation."""

    def rows_from(self, relation: Relation, firsts: Mapping[str, int]) -> Iterator[pa.Table]: ...


@dataclass(frozen=True, slots=True)
class _LedgerSince:
    """The end of a ledger, as a ledger."""

    ledger: Ledger
    marks: Marks

    def describe(self) -> str:
        return self.ledger.describe()

    @contextmanager
    def at_one_moment(self, relations: Sequence[Relation]) -> Iterator["_MomentSince"]:
        with self.ledger.at_one_moment(relations) as moment:
            if not isinstance(moment, _ReadsFrom):
                raise LedgerUnreadable("This ledger cannot be read from a number on: audit the whole of it.")
            accounts = _rows(ACCOUNTS, moment.rows(ACCOUNTS))
            events = self._events(moment, [str(row[0]) for row in accounts])
            yield _MomentSince(moment, {ACCOUNTS: self._opened_later(accounts), BALANCE_EVENTS: events})

    def _events(self, moment: _ReadsFrom, account_ids: Sequence[str]) -> list[tuple[Any, ...]]:
        firsts = {each: self.marks[each].first if each in self.marks else 1 for each in account_ids}
        rows = _rows(BALANCE_EVENTS, moment.rows_from(BALANCE_EVENTS, firsts))
        known = set(rows)
        for account_id, mark in self.marks.items():
            changed = next((event for event in mark.events if event not in known), None)
            if changed is not None:
                raise SnapshotUnreadable(
                    f"Balance event {changed[0]} of account {account_id} is no longer what it was when it was judged: "
                    "what came before may have changed too; audit the whole ledger."
                )
        return [_moved(row, 1 - firsts[str(row[1])]) for row in rows]

    def _opened_later(self, accounts: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        return [
            (*row[:_OPENING], self.marks[row[0]].opening, *row[_OPENING + 1 :]) if row[0] in self.marks else row
            for row in accounts
        ]


@dataclass(frozen=True, slots=True)
class _MomentSince:
    """The two relations of an increment, as they were read."""

    of: LedgerMoment
    held: Mapping[Relation, list[tuple[Any, ...]]]

    @property
    def moment(self) -> datetime:
        return self.of.moment

    @property
    def caveat(self) -> str:
        return (
            "an increment: opening balances and sequences are those since the snapshot before, and what was booked "
            "earlier was not read again"
        )

    def count(self, relation: Relation) -> int:
        return len(self.held[relation])

    def last_number(self, relation: Relation, column: str, account_id: str | None) -> int | None:
        names = [each.name for each in relation.columns]
        texts = (row[names.index(column)] for row in self.held[relation] if account_id in (None, row[1]))
        return max((int(text) for text in texts if text and text.isascii() and text.isdigit()), default=None)

    def rows(self, relation: Relation) -> Iterator[Sequence[tuple[Any, ...]]]:
        yield self.held[relation]


@dataclass(frozen=True, slots=True)
class _BrokerSince:
    """A broker of whom only the transactions from the marks on are asked."""

    broker: Broker
    marks: Marks

    def describe(self) -> str:
        return self.broker.describe()

    def account(self) -> dict[str, Any]:
        return self.broker.account()

    def transactions(self, since_id: int = 0) -> list[dict[str, Any]]:
        if since_id:
            return self.broker.transactions(since_id)
        mark = self.marks.get(str(self.account()["id"]))
        if mark is None and len(self.marks) == 1:  # the ledger's only account has a name of its own
            mark = next(iter(self.marks.values()))
        return self.broker.transactions(max(0, mark.transaction - 1) if mark else 0)


def _rows(relation: Relation, batches: Iterator[pa.Table]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for batch in batches:
        rows += rows_of(relation, batch)
        if len(rows) > MAX_NEW_ROWS:
            raise SnapshotUnreadable(f"More than {MAX_NEW_ROWS:,} rows of {relation.name} are new: read the whole.")
    return rows


def _moved(row: tuple[Any, ...], by: int) -> tuple[Any, ...]:
    return (*row[:_SEQUENCE], row[_SEQUENCE] + by, *row[_SEQUENCE + 1 :])


def _to_text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, Decimal) else value


def _row_from(kept: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(_value_from(column.kind, value) for column, value in zip(BALANCE_EVENTS.columns, kept, strict=True))


def _value_from(kind: Kind, value: Any) -> Any:
    if value is None or kind not in (Kind.EXACT, Kind.MOMENT):
        return value
    return Decimal(value) if kind is Kind.EXACT else datetime.fromisoformat(value)
