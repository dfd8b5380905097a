"""The durable state of a cell, read past every proxy: the ledger's rows and the broker's transactions. Reading only."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, dict_row

from audits.contract import RELATIONS
from gates.chaos.cells.resting import open_trades, resting_told

Row = Mapping[str, Any]
Rows = Mapping[str, Row]
"""Rows of one relation by key; every value is text or None."""
Told = Sequence[Sequence[str | None]]
"""Rows without ids and times."""

HOUSEKEEPING = frozenset({"reconciliations"})
# What a row tells apart from ids, times and valuations, which differ from one run to the next.
TELLING: dict[str, tuple[str, ...]] = {
    "accounts": ("currency", "opening_balance", "balance"),
    "orders": ("instrument", "units", "order_type", "status"),
    "executions": ("instrument", "units", "price", "conversion_rate", "realized_pnl", "commission"),
    "positions": (
        *("instrument", "units", "units_open", "entry_price", "stop_loss", "take_profit", "margin_used"),
        *("status", "realized_pnl", "close_reason"),
    ),
    "position_events": ("sequence", "event_type"),
    "balance_events": ("sequence", "event_type", "balance_before", "amount", "balance_after"),
}
TELLING_TRANSACTION = ("type", "instrument", "units", "price", "pl", "reason", "accountBalance")
TRADED = frozenset({"units", "units_open", "price", "conversion_rate", "entry_price", "stop_loss", "take_profit"})
BOOKED = frozenset({"realized_pnl", "commission", "margin_used", "opening_balance", "amount", "pl", "accountBalance"})
EXACT = TRADED | BOOKED | {"balance", "balance_before", "balance_after"}
RESTING = "waiting at the broker"
VALUATION = frozenset({"equity", "margin_used", "margin_available", "updated_at"})
LOST_ORDERS = frozenset({"cancelled", "rejected"})
_UUID = "[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"
_TIME = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d(:?\d\d)?|Z)?"
RANDOM = f"{_UUID}|{_TIME}"


@dataclass(frozen=True, slots=True)
class State:
    """What would survive if every process died now."""

    ledger: Mapping[str, Rows]
    broker: tuple[Mapping[str, Any], ...]

    @property
    def last_transaction(self) -> int:
        """The broker's last transaction id; 0 where there is none."""
        return int(self.broker[-1]["id"]) if self.broker else 0

    @property
    def held(self) -> int:
        """How many positions are open at the broker."""
        return len(open_trades(self.broker))

    def shape(self) -> dict[str, Any]:
        """As JSON."""
        return {"ledger": self.ledger, "broker": list(self.broker)}

    @classmethod
    def of(cls, shape: Mapping[str, Any]) -> "State":
        """The state that `shape` gave."""
        return cls(shape["ledger"], tuple(shape["broker"]))

    def told(self) -> dict[str, Told]:
        """The state without ids and times, for comparing one run with another."""
        told: dict[str, Told] = {
            name: _sorted(_values(row, TELLING[name]) for row in self.ledger[name].values()) for name in TELLING
        }
        told["broker"] = transactions_told(self.broker)
        return told

    def economy(self) -> dict[str, Told]:
        """What was traded and booked, and what waits at the broker to be traded yet: an order that is left there may
        fill a day later. Orders that came to nothing, and the broker's refusals, are left out.
        """
        told = self.told()
        told["orders"] = [row for row in told["orders"] if row[-1] not in LOST_ORDERS]
        told["broker"] = [row for row in told["broker"] if row[0] == "ORDER_FILL"]
        told[RESTING] = resting_told(self.broker)
        return told


def transactions_told(broker: Iterable[Row]) -> list[list[str | None]]:
    """The broker's transactions without ids and times, in their order."""
    return [_values(record, TELLING_TRANSACTION) for record in broker]


async def read_ledger(connection: psycopg.AsyncConnection[TupleRow], schema: str) -> dict[str, Rows]:
    """Every relation of the contract at one moment, values as text. Raises psycopg.Error."""
    found: dict[str, Rows] = {}
    async with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for relation in RELATIONS:
            columns = sql.SQL(", ").join(
                sql.SQL("{}::text").format(sql.Identifier(column.name)) for column in relation.columns
            )
            query = sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(schema, relation.name))
            rows = await (await cursor.execute(query)).fetchall()
            found[relation.name] = {str(row[relation.key]): row for row in rows}
    return found


def told_alike(text: str, own: Iterable[str]) -> str:
    """A hash of what a file says, blind to the cell's `own` words, to random ids and to times."""
    for word in own:
        text = text.replace(word, "*")
    return hashlib.sha256(re.sub(RANDOM, "*", text, flags=re.IGNORECASE).encode()).hexdigest()


def difference(before: State, after: State) -> dict[str, Any]:
    """The rows that differ, by relation: `added`, `removed`, `changed` ({key: {column: [before, after]}}).

    Housekeeping relations and valuations are left out. Empty when the two are identical.
    """
    found: dict[str, Any] = {}
    for name in before.ledger:
        if name not in HOUSEKEEPING:
            _note(found, name, _changes(name, before.ledger[name], after.ledger[name]))
    ours = {str(record["id"]): record for record in before.broker}
    theirs = {str(record["id"]): record for record in after.broker}
    _note(found, "broker", _changes("broker", ours, theirs))
    return found


def _note(found: dict[str, Any], name: str, changes: dict[str, Any]) -> None:
    kept = {kind: rows for kind, rows in changes.items() if rows}
    if kept:
        found[name] = kept


def _changes(name: str, before: Rows, after: Rows) -> dict[str, Any]:
    ignored = VALUATION if name == "accounts" else frozenset({"updated_at"})
    changed: dict[str, Any] = {}
    for key in before.keys() & after.keys():
        old, new = before[key], after[key]
        columns = {
            column: [old.get(column), new.get(column)]
            for column in new
            if column not in ignored and old.get(column) != new.get(column)
        }
        if columns:
            changed[key] = columns
    return {
        "added": {key: dict(after[key]) for key in sorted(after.keys() - before.keys())},
        "removed": {key: dict(before[key]) for key in sorted(before.keys() - after.keys())},
        "changed": changed,
    }


def _values(row: Row, names: Iterable[str]) -> list[str | None]:
    return [None if row.get(name) is None else _told_as(name, str(row[name])) for name in names]


def _told_as(name: str, value: str) -> str:
    """An amount without the zeros behind it, which say how it was computed and not how much it is."""
    if name not in EXACT:
        return value
    try:
        return f"{Decimal(value).normalize():f}"
    except InvalidOperation:
        return value


def _sorted(rows: Iterable[list[str | None]]) -> list[list[str | None]]:
    return sorted(rows, key=lambda row: [value or "" for value in row])


def counted(rows: Told) -> Counter[tuple[str | None, ...]]:
    """How often each row occurs."""
    return Counter(tuple(row) for row in rows)
