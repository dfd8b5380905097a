"""What is done to the ledger and its server: money and positions that are not so, sessions cut, locks held."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from gates.alerts.provoking.market import Did
from gates.alerts.provoking.place import Place

CUT = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)

RICHER = (
    "UPDATE wartest.positions SET realized_pnl = realized_pnl + 5 WHERE position_id = (SELECT position_id "
    "FROM wartest.positions WHERE status = 'open' ORDER BY opened_at DESC LIMIT 1) RETURNING position_id"
)


@contextmanager
def cent_too_much(place: Place) -> Iterator[Did]:
    """The stored balance is a cent more than its last balance event says, and than the broker holds."""
    ((account,),) = place.sql("UPDATE wartest.accounts SET balance = balance + 0.01 RETURNING account_id")
    try:
        yield {"account": account}
    finally:
        place.sql("UPDATE wartest.accounts SET balance = balance - 0.01")


@contextmanager
def profit_without_event(place: Place) -> Iterator[Did]:
    """An open position holds a profit that none of its events tells."""
    place.open()
    ((position,),) = place.sql(RICHER)
    try:
        yield {"position": position}
    finally:
        place.sql("UPDATE wartest.positions SET realized_pnl = realized_pnl - 5 WHERE position_id = %s", position)


@contextmanager
def sessions_cut(place: Place) -> Iterator[Did]:
    """The server ends every session of the ledger by force, once."""
    ((count,),) = place.sql(CUT)
    yield {"sessions": count}


def cut_again(place: Place) -> None:
    """Once more: the desk warns of each time in its log."""
    place.sql(CUT)


@contextmanager
def lock_held(place: Place) -> Iterator[Did]:
    """A session holds the accounts' table, and everybody else waits for it."""
    with psycopg.connect(place.desk.database_url) as holder:
        holder.execute("LOCK TABLE wartest.accounts IN ACCESS EXCLUSIVE MODE")
        yield {"holder": holder.info.backend_pid}
