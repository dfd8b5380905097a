"""The six operations the desk can be asked for; each answers when what it did is durable."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from gates.rehearsal.desk import ledger
from gates.rehearsal.desk.booking import money
from gates.rehearsal.desk.database import Connection, Row
from gates.rehearsal.desk.following import write_valuation
from gates.rehearsal.desk.reconcile import reconcile
from gates.rehearsal.desk.replay import replay
from gates.rehearsal.desk.trading import ImpossibleError, Trader

Ask = Mapping[str, Any]
Operation = Callable[[Trader, Ask], Awaitable[dict[str, Any]]]

DEFAULT_UNITS = Decimal(1000)


async def open_position(trader: Trader, ask: Ask) -> dict[str, Any]:
    """Opens `units` (signed, 1000) of `instrument` (EUR_USD), with `time_in_force` FOK or IOC."""
    instrument = str(ask.get("instrument", "EUR_USD"))
    order = await trader.open_position(
        instrument,
        _units(ask, DEFAULT_UNITS),
        time_in_force=str(ask.get("time_in_force", "FOK")),
        key=_key(ask),
    )
    return _finished(order)


async def close_position(trader: Trader, ask: Ask) -> dict[str, Any]:
    """Closes `position_id`, or the oldest open position."""
    return _finished(await trader.close_position(await _position(trader, ask), key=_key(ask)))


async def partial_fill(trader: Trader, ask: Ask) -> dict[str, Any]:
    """Closes `units` (without sign), or half, of `position_id` or of the oldest open position."""
    position = await _position(trader, ask)
    half = Decimal(int(abs(position["units_open"])) // 2)
    return _finished(await trader.close_position(position, units=abs(_units(ask, half)), key=_key(ask)))


async def margin_update(trader: Trader, _ask: Ask) -> dict[str, Any]:
    """Takes the margin of each open position, and of the account, from the broker."""
    follower = trader.follower
    async with follower.level_with() as (account, asked_at), follower.database.transaction() as connection:
        await ledger.lock_account(connection, follower.account_id)
        margins = {str(trade["id"]): money(trade, "marginUsed") for trade in account.get("trades", ())}
        positions = await ledger.open_positions(connection, follower.account_id)
        for position in positions:
            margin = margins.get(str(position["broker_trade_id"]))
            if margin is not None:
                await _update_margin(connection, position, margin, asked_at)
        await write_valuation(connection, follower.account_id, account)
    return {"positions": len(positions), "margin_used": str(account.get("marginUsed"))}


async def reconcile_now(trader: Trader, ask: Ask) -> dict[str, Any]:
    """Reconciles with the broker now."""
    return asdict(await reconcile(trader.follower, reconciliation_id=_key(ask)))


async def replay_events(trader: Trader, ask: Ask) -> dict[str, Any]:
    """Rebuilds the state from the events and compares."""
    return asdict(await replay(trader.follower.database, trader.follower.account_id, replay_id=_key(ask)))


OPERATIONS: Mapping[str, Operation] = {
    "open": open_position,
    "close": close_position,
    "partial_fill": partial_fill,
    "margin_update": margin_update,
    "reconcile": reconcile_now,
    "replay": replay_events,
}


async def _update_margin(connection: Connection, position: Row, margin: Decimal, asked_at: datetime) -> None:
    """The broker's margin is of a moment after its last transaction, and before any it has not shown yet:
    the event is dated between both, never after a close that is still to be booked.
    """
    found = await connection.execute(
        """SELECT max(occurred_at) AS last, max(sequence) AS n FROM wartest.position_events
           WHERE position_id = %s""",
        (position["position_id"],),
    )
    latest = await found.fetchone()
    last, number = (latest["last"], latest["n"]) if latest else (None, 0)
    event = ledger.PositionEvent(
        position_id=position["position_id"],
        event_type="MARGIN_UPDATED",
        payload={"margin_used": str(margin)},
        idempotency_key=f"{position['position_id']}:after {number}:MARGIN_UPDATED",
        occurred_at=max(asked_at, last or asked_at),
    )
    await ledger.append_position_event(connection, event, now=datetime.now(UTC))
    await connection.execute(
        "UPDATE wartest.positions SET margin_used = %s WHERE position_id = %s",
        (margin, position["position_id"]),
    )


async def _position(trader: Trader, ask: Ask) -> Row:
    positions = await trader.open_positions()
    wanted = ask.get("position_id")
    for position in positions:
        if wanted in (None, position["position_id"]):
            return position
    which = "no position is open" if wanted is None else f"position {wanted!r} is not open"
    raise ImpossibleError(f"{which}; open one first")


def _units(ask: Ask, default: Decimal) -> Decimal:
    try:
        units = Decimal(str(ask.get("units", default)))
    except InvalidOperation:
        units = Decimal("NaN")
    if not units.is_finite():
        raise ImpossibleError(f"units is {ask.get('units')!r}; give a number")
    return units


def _key(ask: Ask) -> str | None:
    key = ask.get("key")
    return None if key is None else str(key)[:100]


def _finished(order: Row) -> dict[str, Any]:
    return {name: order[name] for name in ("order_id", "position_id", "status", "broker_order_id")}
