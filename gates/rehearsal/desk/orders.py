"""Order rows: intents before they are sent, and what the broker's transactions say became of them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from gates.rehearsal.desk.booking import Transaction, moment, money
from gates.rehearsal.desk.database import Connection, Row

ORDER_TYPES = {"MARKET_ORDER", "LIMIT_ORDER", "STOP_ORDER", "MARKET_IF_TOUCHED_ORDER"}
UNFINISHED = ("pending", "submitted")


@dataclass(frozen=True)
class Intent:
    """An order the desk wants; units signed. `closes_trade` names the broker's trade it closes, if any."""

    order_id: str
    instrument: str
    units: Decimal
    position_id: str | None = None
    closes_trade: str | None = None
    time_in_force: str = "FOK"


async def record_intent(connection: Connection, account_id: str, intent: Intent, *, now: datetime) -> bool:
    """Writes the intent as a pending order; False when an order of this id exists already."""
    written = await connection.execute(
        """INSERT INTO wartest.orders (order_id, account_id, position_id, client_order_id, instrument, units,
               order_type, status, created_at, updated_at)
           VALUES (%s, %s, %s, %s, %s, %s, 'MARKET', 'pending', %s, %s) ON CONFLICT DO NOTHING""",
        (
            intent.order_id,
            account_id,
            intent.position_id,
            intent.order_id,
            intent.instrument,
            intent.units,
            now,
            now,
        ),
    )
    if written.rowcount and intent.closes_trade:
        await connection.execute("INSERT INTO desk.closings VALUES (%s, %s)", (intent.order_id, intent.closes_trade))
    return bool(written.rowcount)


async def is_closing(connection: Connection, trade_id: str, *, besides: str) -> bool:
    """Whether an unfinished order other than `besides` closes the trade. A trade close carries no id of ours
    at the broker, so that two at once could not be told apart.
    """
    found = await connection.execute(
        """SELECT 1 FROM desk.closings JOIN wartest.orders USING (order_id)
           WHERE broker_trade_id = %s AND order_id <> %s AND status IN ('pending', 'submitted') LIMIT 1""",
        (trade_id, besides),
    )
    return await found.fetchone() is not None


async def find_order(connection: Connection, order_id: str) -> Row | None:
    """The order's row, or None."""
    found = await connection.execute("SELECT * FROM wartest.orders WHERE order_id = %s", (order_id,))
    return await found.fetchone()


async def give_up_pending(connection: Connection, account_id: str, *, before: datetime, now: datetime) -> int:
    """Cancels intents older than `before` that never reached the broker; how many. Only right when the
    books hold everything the broker had done by now.
    """
    cancelled = await connection.execute(
        """UPDATE wartest.orders SET status = 'cancelled', updated_at = %s
           WHERE account_id = %s AND status = 'pending' AND created_at < %s""",
        (now, account_id, before),
    )
    return cancelled.rowcount


async def reject_pending(connection: Connection, order_id: str, *, now: datetime) -> None:
    """Ends an intent the broker refused and keeps no transaction of."""
    await connection.execute(
        """UPDATE wartest.orders SET status = 'rejected', updated_at = %s
           WHERE order_id = %s AND status = 'pending'""",
        (now, order_id),
    )


async def oldest_pending(connection: Connection, account_id: str) -> datetime | None:
    """When the oldest intent that is still in doubt was written; None where none is."""
    found = await connection.execute(
        "SELECT min(created_at) AS oldest FROM wartest.orders WHERE account_id = %s AND status = 'pending'",
        (account_id,),
    )
    row = await found.fetchone()
    return row["oldest"] if row else None


async def apply_order_transaction(
    connection: Connection, account_id: str, transaction: Transaction, *, now: datetime
) -> None:
    """Moves the order a transaction speaks of: placed → submitted, rejected, cancelled. Others are left."""
    kind = str(transaction["type"])
    if kind in ORDER_TYPES:
        await _placed(connection, account_id, transaction, now=now)
    elif kind.endswith("_REJECT"):
        order_id = await _own_order(connection, account_id, transaction)
        if order_id is not None:
            await set_status(connection, order_id, "rejected", now=now)
    elif kind == "ORDER_CANCEL":
        await connection.execute(
            """UPDATE wartest.orders SET status = 'cancelled', updated_at = %s
               WHERE account_id = %s AND broker_order_id = %s AND status IN ('pending', 'submitted')""",
            (now, account_id, str(transaction["orderID"])),
        )
    elif kind in {"STOP_LOSS_ORDER", "TAKE_PROFIT_ORDER"} and transaction.get("tradeID"):
        column = "stop_loss" if kind == "STOP_LOSS_ORDER" else "take_profit"
        await connection.execute(
            f"UPDATE wartest.positions SET {column} = %s "  # noqa: S608  one of two fixed names
            "WHERE account_id = %s AND broker_trade_id = %s".encode(),
            (money(transaction, "price"), account_id, str(transaction["tradeID"])),
        )


async def set_status(connection: Connection, order_id: str, status: str, *, now: datetime) -> None:
    """Sets the status of one order."""
    await connection.execute(
        "UPDATE wartest.orders SET status = %s, updated_at = %s WHERE order_id = %s", (status, now, order_id)
    )


async def order_of_fill(
    connection: Connection, account_id: str, fill: Transaction, *, occurred_at: datetime, now: datetime
) -> Row:
    """The order a fill belongs to. A stop or another order the desk never sent itself gets its row here."""
    broker_order_id = str(fill["orderID"])
    found = await connection.execute(
        "SELECT * FROM wartest.orders WHERE account_id = %s AND broker_order_id = %s",
        (account_id, broker_order_id),
    )
    row = await found.fetchone()
    if row is not None:
        return row
    order_type = str(fill.get("reason", "UNKNOWN")).removesuffix("_ORDER")
    values = {"units": money(fill, "units"), "type": order_type, "status": "submitted"}
    return await _foreign(connection, account_id, fill, broker_order_id, values | {"at": occurred_at, "now": now})


async def _placed(connection: Connection, account_id: str, transaction: Transaction, *, now: datetime) -> None:
    broker_order_id = str(transaction["id"])
    order_id = await _own_order(connection, account_id, transaction)
    if order_id is None:
        values = {
            "units": money(transaction, "units"),
            "status": "submitted",
            "at": moment(transaction["time"]),
            "now": now,
        }
        order_type = str(transaction["type"]).removesuffix("_ORDER")
        await _foreign(connection, account_id, transaction, broker_order_id, values | {"type": order_type})
    else:
        await connection.execute(
            """UPDATE wartest.orders SET status = 'submitted', broker_order_id = %s, units = %s, updated_at = %s
               WHERE order_id = %s""",
            (broker_order_id, money(transaction, "units"), now, order_id),
        )
    stop = money(transaction.get("stopLossOnFill") or {}, "price") or None
    target = money(transaction.get("takeProfitOnFill") or {}, "price") or None
    if stop or target:
        await connection.execute(
            "INSERT INTO desk.protections VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (account_id, broker_order_id, stop, target),
        )


async def _own_order(connection: Connection, account_id: str, transaction: Transaction) -> str | None:
    """The desk's order behind a transaction: by client id, or, as a trade close carries none, by the trade
    it closes. A given-up intent counts too: the broker's word is later and stronger.
    """
    client_id = (transaction.get("clientExtensions") or {}).get("id")
    trade_id = (transaction.get("tradeClose") or {}).get("tradeID")
    if trade_id is not None:
        found = await connection.execute(
            """SELECT order_id FROM wartest.orders JOIN desk.closings USING (order_id)
               WHERE account_id = %s AND broker_trade_id = %s AND broker_order_id IS NULL
                 AND status IN ('pending', 'cancelled', 'rejected') AND created_at > %s
               ORDER BY status = 'pending' DESC, created_at DESC LIMIT 1""",
            (account_id, str(trade_id), _moment_floor(transaction)),
        )
    elif client_id is not None:
        found = await connection.execute(
            """SELECT order_id FROM wartest.orders
               WHERE account_id = %s AND client_order_id = %s AND broker_order_id IS NULL""",
            (account_id, str(client_id)),
        )
    else:
        return None
    row = await found.fetchone()
    return None if row is None else str(row["order_id"])


def _moment_floor(transaction: Transaction) -> datetime:
    """An intent older than ten minutes cannot be what the broker did just now."""

    return moment(transaction["time"]) - timedelta(minutes=10)


async def _foreign(
    connection: Connection,
    account_id: str,
    transaction: Transaction,
    broker_order_id: str,
    values: dict[str, Any],
) -> Row:
    written = await connection.execute(
        """INSERT INTO wartest.orders (order_id, account_id, broker_order_id, instrument, units, order_type,
               status, created_at, updated_at)
           VALUES (%(order)s, %(account)s, %(broker)s, %(instrument)s, %(units)s, %(type)s, %(status)s,
                   %(at)s, %(now)s) RETURNING *""",
        values
        | {
            "order": f"{account_id}-order-{broker_order_id}",
            "account": account_id,
            "broker": broker_order_id,
            "instrument": transaction.get("instrument", "UNKNOWN"),
        },
    )
    row = await written.fetchone()
    if row is None:
        raise LookupError("INSERT … RETURNING gave no row")
    return row
