"""A connection that the server has ended is handed out again and again.

Origin: npgsql#2896: tens of dead connections drawn from the pool before a live one.
Caught by gate 2: no recovery after a dropped connection, and no other was opened in all that time.
"""

from gates.rehearsal.defects.defect import Defect, Replacement, Step, ask
from gates.rehearsal.desk.database import Connection, Database

connected = Database._connected


async def _connected(database: Database) -> Connection:
    return database._connection or await connected(database)


async def _drop_if_unusable(_database: Database, _connection: Connection) -> None:
    """Keeps it: opening another is slow."""


DEFECT = Defect(
    name="dead-connection-kept",
    title="A pool that hands out dead connections",
    origin="npgsql#2896",
    gate=2,
    by_hand=("target unhealthy",),
    rules=("connection not replaced",),
    replaces=(
        Replacement(Database, "_connected", _connected),
        Replacement(Database, "_drop_if_unusable", _drop_if_unusable),
    ),
    steps=(
        ask("open"),
        Step(
            "sql",
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()""",
        ),
        ask("open"),
    ),
    scenarios=("database_connection_drop",),
    operations=("open",),
)
