"""From what the databases of cells are made: a database that the user keeps for it, or an SQL file restored into one.

[chaos]
template = "fx_desk_template"            # a database on the server of the cells
schema_file = "/srv/desk/schema.sql"     # or what `pg_dump --schema-only --no-owner` wrote, with rows as INSERTs
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg

from gates.chaos.cells.ledgers import CONNECT_TIMEOUT_S, LedgerServer
from gates.targets.access import TargetUnreachableError

MOST_BYTES = 32 * 2**20
LIMIT_S = 60
PLAIN = "template1"


@asynccontextmanager
async def cells_template(chaos: Mapping[str, Any], ledgers: LedgerServer) -> AsyncIterator[str]:
    """The name of the database that cells are copies of; one that is restored from a file is dropped afterwards.

    Raises TargetUnreachableError where the file cannot be read or restored.
    """
    if not chaos.get("schema_file"):
        yield str(chaos.get("template") or PLAIN)
        return
    statements = _read(Path(str(chaos["schema_file"])))
    name = await ledgers.create("schema")
    try:
        await _restore(ledgers.url_of(name), statements, str(chaos["schema_file"]))
        yield name
    finally:
        await ledgers.drop(name)


def _read(path: Path) -> str:
    """The file's statements, without the lines that only psql understands."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise TargetUnreachableError(f"[chaos] schema_file {path} is larger than 32 MiB: keep a template instead.")
        lines = path.read_text().splitlines()
    except OSError as error:
        raise TargetUnreachableError(f"[chaos] schema_file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise TargetUnreachableError(f"[chaos] schema_file {path} is not in UTF-8: dump it with -E UTF8.") from None
    if any(line.startswith("COPY ") and line.rstrip().lower().endswith("from stdin;") for line in lines):
        raise TargetUnreachableError(f"[chaos] schema_file {path} holds rows as COPY: dump them with --inserts.")
    return "\n".join(line for line in lines if not line.startswith("\\"))


async def _restore(url: str, statements: str, path: str) -> None:
    try:
        async with await psycopg.AsyncConnection.connect(
            url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S
        ) as connection:
            await connection.execute(f"SET statement_timeout = '{LIMIT_S}s'")
            await connection.execute(statements.encode())
    except psycopg.Error as error:
        said = str(error).strip().splitlines()[0]
        raise TargetUnreachableError(
            f"[chaos] schema_file {path} cannot be restored ({said}): dump it with --no-owner --no-privileges."
        ) from None
