"""The rows around a finding: those it names, and those beside them in their sequence, read from the sealed files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb

from audits.contract import BY_NAME, Kind
from audits.judge import opened
from audits.snapshot import Snapshot

BESIDE = 3  # rows before and after, in a sequence
MOST_ROWS = 30  # of one relation
MOST_KEYS = 20  # of one kind

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - every time shown is UTC, and says so once

# The column of a finding that names a row: which kind of key it is.
_KINDS = {
    "event_id": "event",
    "before_event_id": "event",
    "execution_id": "execution",
    "order_id": "order",
    "position_id": "position",
    "account_id": "account",
    "reconciliation_id": "reconciliation",
    "transaction_id": "transaction",
    "broker_transaction_id": "transaction",
    "transactions": "transaction",
    "trade_id": "trade",
    "candle_id": "candle",
    "broker_order_id": "transaction",  # an order at the broker is the transaction that placed it
    "broker_trade_id": "trade",
}
# Where a key of one kind leads to keys of others: (relation, its column of this kind, {other kind: its column}).
_LEADS = (
    ("position_events", "event", "event_id", {"position": "position_id"}),
    ("executions", "execution", "execution_id", {"position": "position_id", "transaction": "broker_transaction_id"}),
    ("orders", "order", "order_id", {"position": "position_id"}),
    ("positions", "trade", "broker_trade_id", {"position": "position_id"}),
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Some rows of one relation in their order; `named` are the numbers of those that the finding names."""

    relation: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    named: frozenset[int] = field(default_factory=frozenset)


def rows_around(snapshot: Snapshot, where: Mapping[str, str]) -> tuple[Surroundings, ...]:
    """Return the rows that `where`, the keys of a finding, leads to, relation by relation, at most 30 of each.

    Raises SnapshotUnreadable when a file is not what was sealed.
    """
    keys = keys_of(where)
    with opened(snapshot) as database:
        look = _Look(database, frozenset(snapshot.relations))
        named = {kind: list(values) for kind, values in keys.items()}
        _follow(look, keys)
        found = (
            look.sequence("balance_events", "account_id", "event_id", named, where),
            look.of("balance_events", {"position_id": keys["position"], "broker_transaction_id": keys["transaction"]}),
            look.sequence("position_events", "position_id", "event_id", named, where),
            look.of("position_events", {"position_id": named["position"]}, unless=bool(named["event"])),
            look.of("positions", {"position_id": keys["position"]}),
            look.of("executions", {"execution_id": keys["execution"], "position_id": keys["position"]}),
            look.of("orders", {"order_id": keys["order"], "position_id": keys["position"]}),
            look.transactions(keys["transaction"]),
            look.candles(keys["candle"]),
            look.of("broker_trades", {"trade_id": keys["trade"]}),
            look.of("reconciliations", {"reconciliation_id": keys["reconciliation"]}),
            look.of("accounts", {"account_id": named["account"]}),
            look.of("broker_account", {"account_id": named["account"]}),
        )
        return _named(_once(found), where)


def keys_of(where: Mapping[str, str]) -> dict[str, list[str]]:
    """Sort the finding's keys by kind; a text that lists several names each of them."""
    keys: dict[str, list[str]] = {kind: [] for kind in _KINDS.values()}
    for column, text in where.items():
        kind = _KINDS.get(column)
        if column == "key" and "relation" in where and where["relation"] in BY_NAME:
            kind = _KINDS.get(BY_NAME[where["relation"]].key)
        if kind:
            keys[kind] += [part for part in dict.fromkeys([text, *text.split(", ")]) if part][:MOST_KEYS]
    return keys


def _follow(look: "_Look", keys: dict[str, list[str]]) -> None:
    """Add the keys that the named rows lead to: an event to its position, an execution to its transaction."""
    for relation, kind, column, others in _LEADS:
        for other, its_column in others.items():
            keys[other] += [
                key for key in look.values(relation, its_column, column, keys[kind]) if key not in keys[other]
            ]


class _Look:
    """Reads rows by key from the views of a snapshot; a relation that it lacks has none."""

    def __init__(self, database: duckdb.DuckDBPyConnection, relations: frozenset[str]) -> None:
        self._database = database
        self._relations = relations

    def values(self, relation: str, wanted: str, column: str, keys: list[str]) -> list[str]:
        if relation not in self._relations or not keys:
            return []
        query = f'SELECT DISTINCT "{wanted}" FROM "{relation}" WHERE "{column}" IN (SELECT unnest(?)) LIMIT {MOST_KEYS}'  # noqa: S608
        return [row[0] for row in self._database.execute(query, [keys]).fetchall() if row[0] is not None]

    def of(self, relation: str, keys: dict[str, list[str]], *, unless: bool = False) -> Surroundings | None:
        """Return the rows that hold any of the keys, in the order of time or sequence."""
        asked = {column: values for column, values in keys.items() if values}
        if relation not in self._relations or not asked or unless:
            return None
        conditions = " OR ".join(f'"{column}" IN (SELECT unnest(?))' for column in asked)
        return self._rows(relation, conditions, list(asked.values()))

    def sequence(
        self, relation: str, owner: str, key: str, named: dict[str, list[str]], where: Mapping[str, str]
    ) -> Surroundings | None:
        """Return the rows beside the named event in its owner's sequence, or beside the sequence number named."""
        if relation not in self._relations:
            return None
        places = []
        if named["event"]:
            query = (
                f'SELECT "{owner}", sequence FROM "{relation}" WHERE "{key}" IN (SELECT unnest(?)) LIMIT {MOST_KEYS}'  # noqa: S608
            )
            places = self._database.execute(query, [named["event"]]).fetchall()
        elif owner in where and str(where.get("sequence", "")).isdigit():
            places = [(where[owner], int(where["sequence"]))]
        if not places:
            return None
        conditions = " OR ".join(f'("{owner}" = ? AND sequence BETWEEN ? AND ?)' for _ in places)
        values = [value for name, at in places for value in (name, at - BESIDE, at + BESIDE)]
        return self._rows(relation, conditions, values)

    def transactions(self, ids: list[str]) -> Surroundings | None:
        """Return the broker's transactions of these ids, with those before and after."""
        numbers = [int(number) for number in ids if number.isascii() and number.isdigit() and len(number) < 18]
        if "broker_transactions" not in self._relations or not numbers:
            return None
        condition = " OR ".join("try_cast(id AS BIGINT) BETWEEN ? AND ?" for _ in numbers)
        values = [value for number in numbers for value in (number - BESIDE, number + BESIDE)]
        return self._rows("broker_transactions", condition, values)

    def candles(self, named: list[str]) -> Surroundings | None:
        """Return the broker's candles before and after the one in which a stop was touched."""
        if "broker_candles" not in self._relations or not named:
            return None
        condition = (
            "exists(FROM broker_candles named WHERE named.candle_id IN (SELECT unnest(?)) "
            "AND named.account_id = broker_candles.account_id AND named.instrument = broker_candles.instrument "
            f"AND abs(epoch(broker_candles.opened_at) - epoch(named.opened_at)) <= {BESIDE} * 5)"
        )
        return self._rows("broker_candles", condition, [named])

    def _rows(self, relation: str, condition: str, values: list[Any]) -> Surroundings | None:
        kinds = {column.name: column.kind for column in BY_NAME[relation].columns if column.name != "raw"}
        columns = tuple(kinds)
        names = ", ".join(f'epoch_us("{name}")' if kinds[name] is Kind.MOMENT else f'"{name}"' for name in columns)
        query = f'SELECT {names} FROM "{relation}" WHERE {condition} ORDER BY {_order(relation)} LIMIT {MOST_ROWS}'  # noqa: S608
        rows = self._database.execute(query, values).fetchall()
        texts = tuple(tuple(map(_text, kinds.values(), row)) for row in rows)
        return Surroundings(relation, columns, texts) if texts else None


def _order(relation: str) -> str:
    columns = [column.name for column in BY_NAME[relation].columns]
    if relation == "broker_transactions":
        return "try_cast(id AS BIGINT)"
    if "sequence" in columns:
        return f'"{columns[1]}", sequence, "{columns[0]}"'
    moment = next((name for name in columns if name.endswith("_at")), columns[0])
    return f'"{moment}", "{columns[0]}"'


def _once(found: Iterable[Surroundings | None]) -> tuple[Surroundings, ...]:
    """Keep one of each relation: the first, which is the one in its sequence."""
    kept: dict[str, Surroundings] = {}
    for each in found:
        if each is not None:
            kept.setdefault(each.relation, each)
    return tuple(kept.values())


def _named(found: tuple[Surroundings, ...], where: Mapping[str, str]) -> tuple[Surroundings, ...]:
    """Mark the rows that the finding names: those whose own key is one of the finding's values."""
    values = set(where.values()) | {part for text in where.values() for part in text.split(", ")}
    return tuple(
        Surroundings(
            each.relation,
            each.columns,
            each.rows,
            frozenset(number for number, row in enumerate(each.rows) if row[0] in values),
        )
        for each in found
    )


def _text(kind: Kind, value: Any) -> str | None:
    """Return a value as text: exact numbers without idle zeros, times in UTC to the microsecond."""
    if value is None:
        return None
    if kind is Kind.MOMENT:  # microseconds since 1970, exact; a time itself would need a package of time zones
        return (_EPOCH + timedelta(microseconds=value)).isoformat(sep=" ", timespec="microseconds")
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value)
