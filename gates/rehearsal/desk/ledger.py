"""Appending to the ledger: events first, then the state they imply, all in the caller's transaction."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from psycopg.types.json import Jsonb

from gates.rehearsal.desk.database import Connection, Row


@dataclass(frozen=True)
class PositionEvent:
    """One event of one position; money in `payload` is a string. The key makes it bookable only once."""

    position_id: str
    event_type: str
    payload: dict[str, Any]
    idempotency_key: str
    occurred_at: datetime


@dataclass(frozen=True)
class BalanceEvent:
    """One change of the balance, in account currency, signed."""

    event_type: str
    amount: Decimal
    broker_transaction_id: str
    occurred_at: datetime
    position_id: str | None = None
    execution_id: str | None = None


async def append_position_event(connection: Connection, event: PositionEvent, *, now: datetime) -> None:
    """Appends with the position's next number. Raises UniqueViolation when the key was booked before."""
    await connection.execute(
        """INSERT INTO wartest.position_events
           SELECT %(position)s || '/' || n, %(position)s, n, %(type)s, %(payload)s, %(key)s, %(occurred)s, %(now)s
           FROM (SELECT coalesce(max(sequence), 0) + 1 AS n
                 FROM wartest.position_events WHERE position_id = %(position)s) AS next""",
        {
            "position": event.position_id,
            "type": event.event_type,
            "payload": Jsonb(event.payload),
            "key": event.idempotency_key,
            "occurred": event.occurred_at,
            "now": now,
        },
    )


async def append_balance_event(connection: Connection, event: BalanceEvent, *, account_id: str, now: datetime) -> None:
    """Appends with the account's next number and moves the account's balance by the same amount.

    Equity and free margin move along, but not with a profit: what is realised was in the equity before.
    """
    account = await lock_account(connection, account_id)
    after = account["balance"] + event.amount
    await connection.execute(
        """INSERT INTO wartest.balance_events
           SELECT %(account)s || '/' || n, %(account)s, n, %(type)s, %(before)s, %(amount)s, %(after)s,
                  %(position)s, %(execution)s, %(transaction)s, %(occurred)s, %(now)s
           FROM (SELECT coalesce(max(sequence), 0) + 1 AS n
                 FROM wartest.balance_events WHERE account_id = %(account)s) AS next""",
        {
            "account": account_id,
            "type": event.event_type,
            "before": account["balance"],
            "amount": event.amount,
            "after": after,
            "position": event.position_id,
            "execution": event.execution_id,
            "transaction": event.broker_transaction_id,
            "occurred": event.occurred_at,
            "now": now,
        },
    )
    await connection.execute(
        """UPDATE wartest.accounts SET balance = %(after)s, updated_at = %(now)s,
               equity = equity + %(earned)s, margin_available = margin_available + %(earned)s
           WHERE account_id = %(account)s""",
        {
            "after": after,
            "now": now,
            "earned": 0 if event.event_type == "PNL_REALIZED" else event.amount,
            "account": account_id,
        },
    )


async def carry_valuation(connection: Connection, account_id: str) -> None:
    """Brings margin and equity level with the positions just booked; without any, equity is the balance.

    The next valuation replaces both by the broker's figures, at its prices.
    """
    await connection.execute(
        """UPDATE wartest.accounts AS account SET margin_used = held.margin, equity = held.equity,
               margin_available = held.equity - held.margin
           FROM (SELECT coalesce(sum(p.margin_used), 0) AS margin,
                        CASE WHEN count(p.position_id) = 0 THEN a.balance ELSE a.equity END AS equity
                 FROM wartest.accounts AS a LEFT JOIN wartest.positions AS p
                   ON p.account_id = a.account_id AND p.status = 'open'
                 WHERE a.account_id = %(account)s GROUP BY a.account_id) AS held
           WHERE account.account_id = %(account)s""",
        {"account": account_id},
    )


async def lock_account(connection: Connection, account_id: str) -> Row:
    """The account's row, locked until the transaction ends."""
    return await _one(connection, "SELECT * FROM wartest.accounts WHERE account_id = %s FOR UPDATE", (account_id,))


async def lock_cursor(connection: Connection, account_id: str) -> int:
    """The id of the last broker transaction in the books, locked until the transaction ends."""
    row = await _one(
        connection, "SELECT last_transaction_id FROM desk.cursors WHERE account_id = %s FOR UPDATE", (account_id,)
    )
    return int(row["last_transaction_id"])


async def move_cursor(connection: Connection, account_id: str, transaction_id: int) -> None:
    """Notes that `transaction_id` is in the books."""
    await connection.execute(
        "UPDATE desk.cursors SET last_transaction_id = %s WHERE account_id = %s", (transaction_id, account_id)
    )


async def open_positions(connection: Connection, account_id: str) -> list[Row]:
    """Open positions, oldest first."""
    found = await connection.execute(
        "SELECT * FROM wartest.positions WHERE account_id = %s AND status = 'open' ORDER BY opened_at, position_id",
        (account_id,),
    )
    return await found.fetchall()


async def _one(connection: Connection, query: str, values: tuple[str, ...]) -> Row:
    row = await (await connection.execute(query.encode(), values)).fetchone()
    if row is None:
        raise LookupError(f"account {values[0]} is not in the ledger yet")
    return row
