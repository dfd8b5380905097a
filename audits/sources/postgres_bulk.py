"""Large relations from PostgreSQL to Parquet: binary COPY over several connections, all in one exported snapshot.

DuckDB's `postgres_scanner` reads and writes; it is loaded from the installed package, never from the network. It turns
NaN into 0 and a far time into another, so the query lets PostgreSQL refuse what cannot be kept exactly.
"""

import queue
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from audits.contract import Column, Kind, Relation
from audits.exact_columns import schema_of

MEMORY_LIMIT = "512MB"
# Level 1 takes 40 % less processor time than the default, for files a tenth larger. A group of rows is held in memory
# by who writes and by who reads it, raw records of the broker among them.
_PARQUET = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 30720"
_WHOLE_TYPES = frozenset({"bigint", "integer", "smallint"})

# Each keeps a value only where it is kept exactly; any other makes the cast of its text fail.
_EXACT = (
    "(CASE WHEN scale({c}) <= 18 OR scale(trim_scale({c})) <= 18 THEN {c} "
    "WHEN {c} IS NOT NULL THEN ('no exact number: ' || {c})::numeric END)::numeric(38, 18)"
)
_COUNT = (
    "CASE WHEN abs({c}) < 9e18 AND {c} = trunc({c}) THEN {c}::bigint "
    "WHEN {c} IS NOT NULL THEN ('no whole number: ' || {c})::bigint END"
)
_MOMENT = (
    "CASE WHEN {c} >= '0001-01-01 00:00:00Z' AND {c} < '10000-01-01 00:00:00Z' THEN {c} "
    "WHEN {c} IS NOT NULL THEN ('no time: ' || {c})::timestamptz END"
)


class BulkFailed(Exception):  # noqa: N818  reads as what is wrong
    """A relation was not read; the message is the server's."""

    def __init__(self, relation: Relation, why: str) -> None:
        super().__init__(why)
        self.relation = relation


@dataclass(frozen=True, slots=True)
class BulkRead:
    """Where to read: the server, the schema, the snapshot to join, and the type of each column by relation."""

    url: str = field(repr=False)
    schema: str
    snapshot_id: str
    types: Mapping[str, Mapping[str, str]]

    def query(self, relation: Relation) -> str:
        """Return the SELECT that gives the contract's columns, or fails."""
        types = self.types[relation.name]
        columns = (f"{_guarded(column, types[column.name])} AS {_name(column.name)}" for column in relation.columns)
        return f"SELECT {', '.join(columns)} FROM {_name(self.schema)}.{_name(relation.name)}"  # noqa: S608


def write_in_bulk(
    read: BulkRead, directory: Path, counts: Mapping[Relation, int], *, connections: int, limit_s: float
) -> bool:
    """Write each relation to `<relation>.parquet`; False where the extension cannot be loaded on this machine.

    Raises BulkFailed for the first relation that was not read whole, or has a null where the contract allows none.
    """
    extension = _extension()
    if extension is None:
        return False
    largest_first = sorted(counts, key=lambda relation: -counts[relation] * len(relation.columns))
    waiting: queue.SimpleQueue[Relation] = queue.SimpleQueue()
    for relation in largest_first:
        waiting.put(relation)
    with duckdb.connect(config={"autoload_known_extensions": False, "autoinstall_known_extensions": False}) as database:
        database.execute(f"LOAD {_quoted(str(extension))}")
        # Each connection's own thread reads and writes. With more, DuckDB would have it wait for them by spinning.
        database.execute(f"SET memory_limit = '{MEMORY_LIMIT}'; SET threads = 1")
        database.execute(f"SET pg_pool_max_connections = {connections + 1}")
        try:
            database.execute(f"ATTACH {_quoted(read.url)} AS ledger (TYPE postgres, READ_ONLY)")
        except duckdb.Error as error:
            raise BulkFailed(largest_first[0], type(error).__name__) from None  # the message may hold the password
        with ThreadPoolExecutor(connections) as pool:
            cursors = [database.cursor() for _ in range(connections)]
            done = [pool.submit(_write_waiting, cursor, read, directory, waiting, limit_s) for cursor in cursors]
            for each in done:
                each.result()
    return True


def _write_waiting(
    cursor: duckdb.DuckDBPyConnection,
    read: BulkRead,
    directory: Path,
    waiting: "queue.SimpleQueue[Relation]",
    limit_s: float,
) -> None:
    """Join the snapshot on one connection and write one relation after the other, until none waits."""
    cursor.execute("BEGIN")
    for statement in (
        "SET TRANSACTION READ ONLY",
        f"SET TRANSACTION SNAPSHOT {_quoted(read.snapshot_id)}",
        f"SET LOCAL statement_timeout = {int(limit_s * 1000)}",
        "SET LOCAL lock_timeout = '5s'",
    ):
        cursor.execute("CALL postgres_execute('ledger', ?)", [statement])
    try:
        while True:
            relation = waiting.get_nowait()
            path = directory / f"{relation.name}.parquet"
            try:
                cursor.execute(
                    f"COPY (SELECT * FROM postgres_query('ledger', {_quoted(read.query(relation))})) "  # noqa: S608
                    f"TO {_quoted(str(path))} ({_PARQUET})"
                )
                _demand_contract(path, relation)
            except duckdb.Error as error:
                raise BulkFailed(relation, " ".join(str(error).split())[:300]) from error
    except queue.Empty:
        cursor.execute("COMMIT")
    finally:
        while not waiting.empty():  # after a failure nobody need read on
            waiting.get_nowait()
        cursor.close()


def _demand_contract(path: Path, relation: Relation) -> None:
    """A number without a declared scale would come as a binary fraction: never trust, look at what was written."""
    if not pq.read_schema(path).equals(schema_of(relation)):
        raise BulkFailed(relation, "its columns did not come in the types of the contract")
    metadata = pq.read_metadata(path)
    for group in (metadata.row_group(index) for index in range(metadata.num_row_groups)):
        for index, column in enumerate(relation.columns):
            statistics = group.column(index).statistics
            if not column.nullable and (statistics is None or statistics.null_count != 0):
                raise BulkFailed(relation, f"{column.name} is null in a row")


def _guarded(column: Column, found: str) -> str:
    name = _name(column.name)
    if column.kind is Kind.EXACT:
        return f"{name}::numeric(38, 18)" if found in _WHOLE_TYPES else _EXACT.format(c=name)
    if column.kind is Kind.COUNT:
        return f"{name}::bigint" if found in _WHOLE_TYPES else _COUNT.format(c=name)
    return _MOMENT.format(c=name) if column.kind is Kind.MOMENT else f"{name}::text"


def _extension() -> Path | None:
    """The installed file of the extension for this version of DuckDB."""
    package = find_spec("duckdb_extension_postgres_scanner")
    folders = package.submodule_search_locations if package else None
    for folder in folders or ():
        path = Path(folder) / "extensions" / f"v{duckdb.__version__}" / "postgres_scanner.duckdb_extension"
        if path.is_file():
            return path
    return None


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
