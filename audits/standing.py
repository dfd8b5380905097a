"""A database that stands: it judges small loose books one after the other, and plans each query only once.

Nearly all of the time of a small audit goes into planning: a hundred queries, over tens of rows. Here the tables stay,
emptied before the next books, and each query is prepared when it is first asked. Its SQL is the one that judges
everywhere else, and what it finds anything in is judged anew from there on as everywhere else.

DuckDB plans by what it knows of the rows at that moment, and keeps to it: a filter that no row passes becomes one that
none ever will. A plan that is kept must not know them, so that all which looks at rows while planning is off.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import BoundedSemaphore
from typing import Any, Self

import duckdb

from audits.contract import BY_NAME, Relation
from audits.loose import Loose
from audits.shared_tables import CHANGES, NAMES, SHARED, VIEWS, needed
from audits.tables import FILLERS, Flaw, Tables, create_relation, create_shared, empty_database, fill_relation

MOST_ROWS = 2_000  # a plan made for tens of rows may be a bad one for many more
MOST_BOOKS = 100  # rows that were deleted are still passed over
AT_ONCE = 2  # each keeps the hash tables of its plans, 100 MB, and judges ten books a second
WAIT_LIMIT_S = 60.0
BY_ROWS = (
    "statistics_propagation",
    "compressed_materialization",
    "row_group_pruner",
    "join_filter_pushdown",
    "late_materialization",
)

_free: list["StandingTables"] = []
_room = BoundedSemaphore(AT_ONCE)


class StandingTables(Tables):
    """One database for books after books, used by one thread at a time."""

    def __init__(self, database: duckdb.DuckDBPyConnection, stack: ExitStack) -> None:
        super().__init__(database, lambda _name: set())
        self.judged = 0
        self._stack = stack
        self._plans: dict[str, str] = {}
        self._filled: set[str] = set()
        self._shared: set[str] = set()

    @classmethod
    def opened(cls) -> Self:
        """All tables at once, empty: what is made later would make every plan void."""
        with ExitStack() as stack:
            database = stack.enter_context(empty_database())
            database.execute(f"SET disabled_optimizers = '{','.join(BY_ROWS)}'; SET threads = 1")
            for relation in BY_NAME.values():
                create_relation(database, relation)
            database.execute("CREATE TABLE this (moment TIMESTAMPTZ, tied BOOLEAN)")
            database.execute(CHANGES)
            for name in NAMES:
                create_shared(database, name)
            return cls(database, stack.pop_all())

    def begin(self, books: Loose) -> None:
        """Forget the last books and take these."""
        for name in self._filled:
            self._planned(f'DELETE FROM "{name}"')  # noqa: S608
        self._filled, self._shared, self._flaws = {"this"}, set(), {}
        for name, table in books.relations.items():
            if table.num_rows:
                fill_relation(self.database, name, table)
                self._filled.add(name)
        self.database.execute("INSERT INTO this VALUES (?, ?)", [books.moment.isoformat(), books.tied])
        self._may_be_null = books.may_be_null
        self.judged += 1

    def close(self) -> None:
        self._stack.close()

    def make(self, names: Iterable[str]) -> None:
        for name in needed(names):
            if name not in self._shared | VIEWS:
                if name in FILLERS:
                    FILLERS[name](self.database)
                else:
                    self._planned(f'INSERT INTO "{name}" {SHARED[name]}')
                self._filled.add(name)
                self._shared.add(name)

    def _wrong_types(self, _database: duckdb.DuckDBPyConnection, _relation: Relation) -> tuple[Flaw, ...]:
        """None: every column was created with the contract's type."""
        return ()

    def release(self, names: Iterable[str]) -> None:
        """They are emptied when the next books come."""

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The one connection that knows the plans."""
        yield self.database

    def asked(self, database: duckdb.DuckDBPyConnection, query: str) -> Sequence[tuple[Any, ...]]:
        return self._planned(query)

    def may_find(self, findings_sql: str) -> bool:
        return bool(self._planned(findings_sql))

    def _planned(self, query: str) -> list[tuple[Any, ...]]:
        if query not in self._plans:
            name = f"plan_{len(self._plans)}"
            self.database.execute(f"PREPARE {name} AS {query}")
            self._plans[query] = name
        return self.database.execute(f"EXECUTE {self._plans[query]}").fetchall()


def is_small(books: Loose) -> bool:
    """Whether the books may be judged by plans that were made for others."""
    return sum(table.num_rows for table in books.relations.values()) <= MOST_ROWS


@contextmanager
def standing_tables(books: Loose) -> Iterator[Tables]:
    """Tables that hold these books for the block: of a database that nobody uses, or of a new one.

    One in which anything failed is not used again, nor one after MOST_BOOKS. Raises TimeoutError where AT_ONCE others
    judge for so long.
    """
    if not _room.acquire(timeout=WAIT_LIMIT_S):
        raise TimeoutError(f"{AT_ONCE} other judgements took longer than {WAIT_LIMIT_S:.0f} s.")
    try:
        with _standing(books) as tables:
            yield tables
    finally:
        _room.release()


@contextmanager
def _standing(books: Loose) -> Iterator[Tables]:
    try:
        tables = _free.pop()
    except IndexError:  # asked first, another thread might take the last one in between
        tables = StandingTables.opened()
    is_whole = False
    try:
        tables.begin(books)
        yield tables
        is_whole = tables.is_sound and tables.judged < MOST_BOOKS
    finally:
        if is_whole:
            _free.append(tables)
        else:
            tables.close()
