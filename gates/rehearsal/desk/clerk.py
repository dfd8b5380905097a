"""Writes one broker transaction into the books: one database transaction, with the cursor inside it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from gates.rehearsal.desk import ledger, orders
from gates.rehearsal.desk.booking import (
    CLOSE_REASONS,
    ZERO,
    BookingStoppedError,
    Closing,
    Movement,
    Opening,
    Transaction,
    read_transaction,
)
from gates.rehearsal.desk.database import Connection, Row


@dataclass(frozen=True)
class Entry:
    """What every line of one booking shares."""

    connection: Connection
    account_id: str
    movement: Movement
    order: Row | None
    now: datetime


async def book(connection: Connection, account_id: str, transaction: Transaction, *, now: datetime) -> bool:
    """Books one transaction inside the caller's database transaction; False when it is booked already.

    1. Lock the cursor; only the very next id may be booked.
    2. Move the order it speaks of.
    3. Append executions and events of a fill.
    4. Append balance events; the balance must end as the broker's, equity and margin level with the positions.
    5. Move the cursor.

    Raises BookingStoppedError when the books can not follow the broker.
    """
    cursor = await ledger.lock_cursor(connection, account_id)
    transaction_id = int(transaction["id"])
    if transaction_id <= cursor:
        return False
    if transaction_id != cursor + 1:
        raise BookingStoppedError(f"transaction {cursor + 1} is missing, the broker went on with {transaction_id}")
    account = await ledger.lock_account(connection, account_id)
    movement = read_transaction(transaction, currency=account["currency"])
    await orders.apply_order_transaction(connection, account_id, transaction, now=now)
    order = None
    if movement.openings or movement.closings:
        order = await orders.order_of_fill(
            connection, account_id, transaction, occurred_at=movement.occurred_at, now=now
        )
    entry = Entry(connection, account_id, movement, order, now)
    executions = await _book_fill(entry, transaction) if order is not None else {}
    await _book_cash(entry, executions)
    if executions:
        await ledger.carry_valuation(connection, account_id)
    await _check_balance(entry)
    await ledger.move_cursor(connection, account_id, transaction_id)
    return True


async def _book_fill(entry: Entry, fill: Transaction) -> dict[str, Row]:
    """Books each opened and each closed trade; the executions by trade id. The first bears the commission."""
    commission = entry.movement.commission
    executions: dict[str, Row] = {}
    for closing in entry.movement.closings:
        executions[closing.trade_id] = await _book_closing(entry, fill, closing, commission)
        commission = ZERO
    for opening in entry.movement.openings:
        executions[opening.trade_id] = await _book_opening(entry, fill, opening, commission)
        commission = ZERO
    order = _order(entry)
    filled = sum((abs(execution["units"]) for execution in executions.values()), ZERO)
    first = next(iter(executions.values()))
    await entry.connection.execute(
        """UPDATE wartest.orders SET status = %s, updated_at = %s, position_id = coalesce(position_id, %s)
           WHERE order_id = %s""",
        (
            "filled" if filled >= abs(order["units"]) else "partially_filled",
            entry.now,
            first["position_id"],
            order["order_id"],
        ),
    )
    return executions


async def _book_opening(entry: Entry, fill: Transaction, opening: Opening, commission: Decimal) -> Row:
    connection, movement = entry.connection, entry.movement
    position_id = f"{entry.account_id}-position-{opening.trade_id}"
    found = await connection.execute(
        "SELECT stop_loss, take_profit FROM desk.protections WHERE account_id = %s AND broker_order_id = %s",
        (entry.account_id, str(fill["orderID"])),
    )
    stops = await found.fetchone() or {"stop_loss": None, "take_profit": None}
    await connection.execute(
        """INSERT INTO wartest.positions (position_id, account_id, broker_trade_id, instrument, units, units_open,
               entry_price, stop_loss, take_profit, margin_used, status, opened_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'open', %s)""",
        (
            position_id,
            entry.account_id,
            opening.trade_id,
            fill["instrument"],
            opening.units,
            opening.units,
            opening.price,
            stops["stop_loss"],
            stops["take_profit"],
            opening.margin,
            movement.occurred_at,
        ),
    )
    created = {
        "broker_trade_id": opening.trade_id,
        "instrument": fill["instrument"],
        "units": str(opening.units),
        "entry_price": str(opening.price),
        "stop_loss": _text(stops["stop_loss"]),
        "take_profit": _text(stops["take_profit"]),
    }
    await _event(entry, position_id, "POSITION_CREATED", created)
    execution = await _execute(entry, fill, position_id, (opening, opening.units, ZERO, commission))
    await _event(entry, position_id, "MARGIN_RESERVED", {"margin_used": str(opening.margin)})
    return execution


async def _book_closing(entry: Entry, fill: Transaction, closing: Closing, commission: Decimal) -> Row:
    connection, movement = entry.connection, entry.movement
    position = await _position_of(entry, closing.trade_id)
    sign = 1 if position["units_open"] > 0 else -1
    left = position["units_open"] - sign * closing.units
    if left * sign < 0:
        raise BookingStoppedError(
            f"transaction {movement.transaction_id} closes {closing.units} of trade {closing.trade_id}, "
            f"of which only {abs(position['units_open'])} are open"
        )
    margin = (position["margin_used"] * left / position["units_open"]).quantize(Decimal("0.0001"))
    reason = str(fill.get("reason", ""))
    closed = {
        "units_open": left,
        "margin": margin,
        "pnl": position["realized_pnl"] + closing.realized_pnl,
        "status": "open" if left else "closed",
        "reason": None if left else CLOSE_REASONS.get(reason, "MARKET"),
        "at": None if left else movement.occurred_at,
        "id": position["position_id"],
    }
    execution = await _execute(
        entry,
        fill,
        position["position_id"],
        (closing, -sign * closing.units, closing.realized_pnl, commission),
    )
    await _closing_events(entry, execution, closed)
    await connection.execute(
        """UPDATE wartest.positions SET units_open = %(units_open)s, margin_used = %(margin)s,
               realized_pnl = %(pnl)s, status = %(status)s, close_reason = %(reason)s, closed_at = %(at)s
           WHERE position_id = %(id)s""",
        closed,
    )
    return execution


async def _closing_events(entry: Entry, execution: Row, closed: dict[str, Any]) -> None:
    position_id = str(closed["id"])
    pnl = {"execution_id": execution["execution_id"], "realized_pnl": str(execution["realized_pnl"])}
    if closed["status"] == "open":
        left = {"units": str(execution["units"]), "units_open": str(closed["units_open"])}
        await _event(entry, position_id, "PARTIAL_CLOSE", left)
        await _event(entry, position_id, "PNL_REALIZED", pnl)
        await _event(entry, position_id, "MARGIN_UPDATED", {"margin_used": str(closed["margin"])})
    else:
        await _event(entry, position_id, "PNL_REALIZED", pnl)
        await _event(entry, position_id, "MARGIN_RELEASED", {"margin_used": "0"})
        await _event(entry, position_id, "POSITION_CLOSED", {"close_reason": closed["reason"]})


async def _execute(
    entry: Entry, fill: Transaction, position_id: str, deal: tuple[Opening | Closing, Decimal, Decimal, Decimal]
) -> Row:
    """Writes an execution and its ORDER_FILLED event; `deal` is the part, signed units, PnL, commission."""
    part, units, pnl, commission = deal
    rate = part.conversion_rate
    if rate is None:
        raise BookingStoppedError(f"fill {fill['id']} names no conversion rate for {fill['instrument']}")
    execution = {
        "execution_id": f"{entry.account_id}-execution-{fill['id']}-{part.trade_id}",
        "account_id": entry.account_id,
        "order_id": _order(entry)["order_id"],
        "position_id": position_id,
        "broker_transaction_id": str(fill["id"]),
        "instrument": fill["instrument"],
        "units": units,
        "price": part.price,
        "conversion_rate": rate,
        "realized_pnl": pnl,
        "commission": commission,
        "executed_at": entry.movement.occurred_at,
    }
    await entry.connection.execute(
        """INSERT INTO wartest.executions VALUES (%(execution_id)s, %(account_id)s, %(order_id)s, %(position_id)s,
               %(broker_transaction_id)s, %(instrument)s, %(units)s, %(price)s, %(conversion_rate)s,
               %(realized_pnl)s, %(commission)s, %(executed_at)s)""",
        execution,
    )
    payload = {name: execution[name] for name in ("execution_id", "order_id", "broker_transaction_id")}
    await _event(entry, position_id, "ORDER_FILLED", payload | {"units": str(units), "price": str(part.price)})
    return execution


async def _book_cash(entry: Entry, executions: dict[str, Row]) -> None:
    for part in entry.movement.cash:
        execution = executions.get(part.trade_id or "", {})
        event = ledger.BalanceEvent(
            event_type=part.event_type,
            amount=part.amount,
            broker_transaction_id=str(entry.movement.transaction_id),
            occurred_at=entry.movement.occurred_at,
            position_id=execution.get("position_id"),
            execution_id=execution.get("execution_id"),
        )
        await ledger.append_balance_event(entry.connection, event, account_id=entry.account_id, now=entry.now)


async def _check_balance(entry: Entry) -> None:
    account = await ledger.lock_account(entry.connection, entry.account_id)
    expected = entry.movement.balance
    if expected is not None and account["balance"] != expected:
        raise BookingStoppedError(
            f"after transaction {entry.movement.transaction_id} ({entry.movement.kind}) the books say "
            f"{account['balance']}, the broker {expected}"
        )


async def _position_of(entry: Entry, trade_id: str) -> Row:
    found = await entry.connection.execute(
        "SELECT * FROM wartest.positions WHERE account_id = %s AND broker_trade_id = %s FOR UPDATE",
        (entry.account_id, trade_id),
    )
    position = await found.fetchone()
    if position is None or position["status"] != "open":
        raise BookingStoppedError(
            f"transaction {entry.movement.transaction_id} closes trade {trade_id}, which is not open here"
        )
    return position


async def _event(entry: Entry, position_id: str, event_type: str, payload: dict[str, Any]) -> None:
    event = ledger.PositionEvent(
        position_id=position_id,
        event_type=event_type,
        payload=payload,
        idempotency_key=f"{position_id}:{entry.movement.transaction_id}:{event_type}",
        occurred_at=entry.movement.occurred_at,
    )
    await ledger.append_position_event(entry.connection, event, now=entry.now)


def _order(entry: Entry) -> Row:
    if entry.order is None:
        raise LookupError("a fill without an order row")
    return entry.order


def _text(number: Decimal | None) -> str | None:
    return None if number is None else str(number)
