"""A ledger behind PostgREST, as Supabase hosts them: read by GET alone, whole or not at all.

A hosted server answers at most 1,000 rows and says nothing, so every page is asked with an exact count and compared.
HTTP knows no common moment: counts and last keys are read before and after, and a ledger that changed is read again.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from audits.contract import Kind, Relation
from audits.sources import MADE, UNKEPT, LedgerUnreadable
from audits.sources.postgrest_pages import Page, PostgrestDoor, as_texts, types_of

MAX_ROWS = 2_000_000  # of one relation: more belongs on a PostgreSQL address
READINGS = 3
PAUSE_S = 1.0
PAGE_ROWS = 10_000

_CAVEAT = (
    "read over HTTP, which knows no single moment: counts, last keys and times of change were the same before and "
    "after the reading, which took {took_s:.1f} s; a row changed twice in it, back to what it was, would not show"
)
_UNDESCRIBED = "; the server does not describe the types of its columns, so a binary fraction would not show"
_BINARY = frozenset({"double precision", "real", "float8", "float4"})


class PostgrestLedger:
    """The ledger in `schema` at `url`, the project's address with or without /rest/v1; `key` is never shown."""

    def __init__(self, url: str, key: str, schema: str = "wartest", *, timeout_s: float = 30.0) -> None:
        self._door = PostgrestDoor(url, key, schema, timeout_s=timeout_s)
        self._schema = schema

    def describe(self) -> str:
        """Return the address and schema, without the key."""
        return f"{self._door.url} schema {self._schema}"

    @contextmanager
    def at_one_moment(self, relations: Sequence[Relation]) -> Iterator["PostgrestMoment"]:
        """Read every relation, and again where the ledger changed meanwhile, at most three times.

        Raises LedgerUnreadable, with one sentence, for an address that does not answer as PostgREST does, a key that
        is refused, a missing relation or column, rows that do not come, and a ledger that never stood still.
        """
        with self._door.opened():
            definitions = self._door.described()
            described = types_of(definitions)
            self._demand_exact_types(relations, described)
            lacks = self._lacking(relations, definitions)
            relations = [relation for relation in relations if relation.name not in lacks]
            for attempt in range(READINGS):
                if attempt:
                    time.sleep(PAUSE_S)
                began = time.monotonic()
                before = self._marks(relations)
                tables = {relation.name: self._read(relation) for relation in relations}
                if all(table is not None for table in tables.values()) and self._marks(relations) == before:
                    break
            else:
                raise LedgerUnreadable(
                    f"The ledger at {self.describe()} changed during each of {READINGS} readings: "
                    "stop the system meanwhile, or give the address of its PostgreSQL."
                )
            caveat = _CAVEAT.format(took_s=time.monotonic() - began) + ("" if described else _UNDESCRIBED)
            moment = PostgrestMoment(tables, self._door.time or datetime.now(UTC), caveat)
            moment.lacks = lacks
            moment.made, moment.unkept = (_marked(definitions, words) for words in (MADE, UNKEPT))
            yield moment

    def _lacking(self, relations: Sequence[Relation], described: Mapping[str, Any]) -> dict[str, str]:
        """The relations that the server describes not, where it describes others; asking for one tells the reason."""
        missing = [relation.name for relation in relations if described and relation.name not in described]
        if len(missing) == len(relations):
            return {}
        return {name: f"The ledger has no relation {self._schema}.{name}: create the view." for name in missing}

    def _demand_exact_types(self, relations: Sequence[Relation], described: Mapping[str, Mapping[str, str]]) -> None:
        """Every value is asked for as text, which a binary fraction would survive: so its type is looked up."""
        for relation in relations:
            for column in relation.columns:
                found = described.get(relation.name, {}).get(column.name, "")
                if column.kind in (Kind.EXACT, Kind.COUNT) and found in _BINARY:
                    raise LedgerUnreadable(
                        f"The ledger's column {self._schema}.{relation.name}.{column.name} is {found}: make it "
                        "numeric, since a binary fraction is not exact."
                    )
                if column.kind is Kind.MOMENT and found == "timestamp without time zone":
                    raise LedgerUnreadable(
                        f"The ledger's column {self._schema}.{relation.name}.{column.name} is {found}: make it "
                        "timestamptz, since a time without a zone is ambiguous."
                    )

    def _marks(self, relations: Sequence[Relation]) -> tuple[tuple[Any, ...], ...]:
        """How many rows each relation has, its last key, and when a row last changed where it says so."""
        marks: list[tuple[Any, ...]] = []
        for relation in relations:
            names = [column.name for column in relation.columns]
            orders = [relation.key, *(name for name in ("updated_at",) if name in names)]
            for order in orders:
                last = self._door.page(relation, [order], f"{order}.desc", first=0, rows=1)
                marks.append((relation.name, last.total, *(row.get(order) for row in last.rows)))
        return tuple(marks)

    def _read(self, relation: Relation) -> pa.Table | None:
        """Read all pages in the order of the key; as many rows must come as were counted, each key once.

        None where the count changed on the way: what was read is no whole, even if the count is as before in the end.
        """
        names = [column.name for column in relation.columns]
        rows: list[Mapping[str, Any]] = []
        total: int | None = None
        while total is None or len(rows) < total:
            page = self._door.page(relation, names, f"{relation.key}.asc", first=len(rows), rows=PAGE_ROWS)
            if total is not None and page.total != total:
                return None
            total = page.total
            self._demand_progress(relation, page, len(rows))
            rows += page.rows
        keys = Counter(row[relation.key] for row in rows)
        twice = next((key for key, times in keys.items() if times > 1), None)
        if twice is not None:
            raise LedgerUnreadable(
                f"{relation.name} has {relation.key} {twice} twice: a ledger without a unique key cannot be paged."
            )
        return as_texts(names, rows)

    def _demand_progress(self, relation: Relation, page: Page, read: int) -> None:
        if page.total > MAX_ROWS:
            raise LedgerUnreadable(
                f"{relation.name} has {page.total} rows, too many over HTTP: give the address of its PostgreSQL."
            )
        if not page.rows and read < page.total:
            raise LedgerUnreadable(
                f"{relation.name} has {page.total} rows, but the server stopped after {read}: it cuts answers short."
            )


def _marked(definitions: Mapping[str, Any], words: str) -> tuple[str, ...]:
    """The columns that a view marks with these words, by the comments that the server shows."""
    return tuple(
        f"{name}.{column}"
        for name, definition in definitions.items()
        for column, told in definition["properties"].items()
        if words in str(told.get("description", ""))
    )


class PostgrestMoment:
    """Every relation as it was read; `moment` is the server's clock at the end of the reading."""

    def __init__(self, tables: Mapping[str, pa.Table], moment: datetime, caveat: str) -> None:
        self._tables = tables
        self._moment = moment
        self._caveat = caveat
        self.lacks: Mapping[str, str] = {}
        self.made: tuple[str, ...] = ()
        self.unkept: tuple[str, ...] = ()

    @property
    def moment(self) -> datetime:
        """When the reading ended, by the server's clock, to the second."""
        return self._moment

    @property
    def caveat(self) -> str:
        """That HTTP knows no single moment, and what was compared instead."""
        return self._caveat

    def count(self, relation: Relation) -> int:
        """Return how many rows the server counted, which is how many were read."""
        return len(self._tables[relation.name])

    def last_number(self, relation: Relation, column: str, account_id: str | None) -> int | None:
        """Return the largest whole number among the texts of a column, of one account or of all."""
        table = self._tables[relation.name]
        rows = zip(table.column(column).to_pylist(), table.column("account_id").to_pylist(), strict=True)
        numbers = (
            int(text)
            for text, account in rows
            if text and text.isascii() and text.isdigit() and account_id in (None, account)
        )
        return max(numbers, default=None)

    def rows(self, relation: Relation) -> Iterator[pa.Table]:
        """Yield the rows, every value as the server's text."""
        yield self._tables[relation.name]

    def rows_from(self, relation: Relation, firsts: Mapping[str, int]) -> Iterator[pa.Table]:
        """Yield those of the accounts named whose `sequence` is at least the account's first: all were read anyway."""
        table = self._tables[relation.name]
        accounts, sequences = table.column("account_id").to_pylist(), table.column("sequence").to_pylist()
        wanted = [
            account in firsts and int(sequence) >= firsts[account]
            for account, sequence in zip(accounts, sequences, strict=True)
        ]
        yield table.filter(pa.array(wanted, pa.bool_()))
