"""Placing and closing: the intent is committed first, the broker's transactions say what became of it."""

import asyncio
import logging
import random
import uuid
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from gates.rehearsal.desk import ledger, orders
from gates.rehearsal.desk.broker import Broker, BrokerRefusedError, BrokerUnavailableError, Quote
from gates.rehearsal.desk.database import Row
from gates.rehearsal.desk.following import DOUBT_S, Follower

log = logging.getLogger(__name__)

PIPS = {"EUR_USD": Decimal("0.0001"), "GBP_USD": Decimal("0.0001"), "USD_JPY": Decimal("0.01")}
TIMES_IN_FORCE = ("FOK", "IOC")
OUTCOME_TIMEOUT_S = DOUBT_S + 6
OUTCOME_PAUSE_S = 0.1
SMALLEST = 100  # units of a position opened at random


class ImpossibleError(Exception):
    """What was asked can not be done now; says what to do instead."""


@dataclass(frozen=True)
class Protection:
    """Distances of stop loss and take profit from the price paid, in pips."""

    stop_pips: Decimal
    take_profit_pips: Decimal


class Trader:
    """Opens and closes positions, each by an order that can be found again by its id."""

    def __init__(self, follower: Follower, protection: Protection) -> None:
        self.follower = follower
        self.protection = protection

    @property
    def broker(self) -> Broker:
        """Where the orders go."""
        return self.follower.broker

    async def open_position(
        self, instrument: str, units: Decimal, *, time_in_force: str = "FOK", key: str | None = None
    ) -> Row:
        """Opens a position of signed units with stop loss and take profit; the finished order's row.

        FOK wants all units or none; IOC takes what the market has, and the order may end partially filled.

        With a `key` used before, nothing is sent and that order's outcome is awaited instead.
        """
        if instrument not in PIPS:
            raise ImpossibleError(f"instrument {instrument!r} is not traded here; choose of {', '.join(PIPS)}")
        if not units:
            raise ImpossibleError("units is zero; ask for a number of units, negative to sell")
        if time_in_force not in TIMES_IN_FORCE:
            raise ImpossibleError(f"time_in_force is {time_in_force!r}; choose of {', '.join(TIMES_IN_FORCE)}")
        quote = await self.broker.quote(instrument)
        intent = orders.Intent(key or str(uuid.uuid4()), instrument, units, time_in_force=time_in_force)
        if await self._record(intent):
            order = market_order(intent, quote, self.protection)
            await self._send(intent.order_id, self.broker.place(order))
        return await self._outcome(intent.order_id)

    async def close_position(self, position: Row, *, units: Decimal | None = None, key: str | None = None) -> Row:
        """Closes a position, or `units` of it (without sign); the finished order's row."""
        size = abs(position["units_open"]) if units is None else units
        if not 0 < size <= abs(position["units_open"]):
            raise ImpossibleError(f"cannot close {size} of {abs(position['units_open'])} open units")
        sign = -1 if position["units_open"] > 0 else 1
        trade_id = str(position["broker_trade_id"])
        intent = orders.Intent(
            key or str(uuid.uuid4()), position["instrument"], sign * size, position["position_id"], trade_id
        )
        if await self._record(intent):
            request = self.broker.close_trade(trade_id, units="ALL" if units is None else str(units))
            await self._send(intent.order_id, request)
        return await self._outcome(intent.order_id)

    async def open_positions(self) -> list[Row]:
        """Open positions in the books, oldest first."""
        async with self.follower.database.transaction() as connection:
            return await ledger.open_positions(connection, self.follower.account_id)

    async def _record(self, intent: orders.Intent) -> bool:
        async with self.follower.database.transaction() as connection:
            await ledger.lock_account(connection, self.follower.account_id)
            trade_id = intent.closes_trade
            if trade_id and await orders.is_closing(connection, trade_id, besides=intent.order_id):
                raise ImpossibleError(f"trade {trade_id} is being closed already; wait for that")
            return await orders.record_intent(connection, self.follower.account_id, intent, now=datetime.now(UTC))

    async def _send(self, order_id: str, request: Awaitable[dict[str, Any]]) -> None:
        """Sends once. Whatever the answer, or none, the transactions tell the outcome; only an order that the
        broker refused without a transaction is ended here.
        """
        try:
            await request
        except BrokerUnavailableError as doubt:
            log.warning("order sent, now looked up: %s", doubt)
        except BrokerRefusedError as refusal:
            log.warning("order refused: %s", refusal)
            await self.follower.catch_up()
            async with self.follower.database.transaction() as connection:
                await orders.reject_pending(connection, order_id, now=datetime.now(UTC))

    async def _outcome(self, order_id: str) -> Row:
        """Waits until the order is finished. Raises BrokerUnavailableError while it still is in doubt."""
        async with asyncio.timeout(OUTCOME_TIMEOUT_S):
            while True:
                await self.follower.catch_up()
                async with self.follower.database.transaction() as connection:
                    row = await orders.find_order(connection, order_id)
                if row is not None and row["status"] not in orders.UNFINISHED:
                    return row
                await self.follower.resolve_doubts()
                await asyncio.sleep(OUTCOME_PAUSE_S)


def market_order(intent: orders.Intent, quote: Quote, protection: Protection) -> dict[str, Any]:
    """The order as OANDA wants it: both stops on it, the intent's id on order and trade."""
    pip = PIPS[intent.instrument]
    step = pip / 10
    side = 1 if intent.units > 0 else -1
    paid = quote.ask if side > 0 else quote.bid
    stop = paid - side * protection.stop_pips * pip
    target = paid + side * protection.take_profit_pips * pip
    return {
        "type": "MARKET",
        "instrument": intent.instrument,
        "units": str(intent.units),
        "timeInForce": intent.time_in_force,
        "positionFill": "OPEN_ONLY",
        "stopLossOnFill": {"price": str(stop.quantize(step)), "timeInForce": "GTC"},
        "takeProfitOnFill": {"price": str(target.quantize(step)), "timeInForce": "GTC"},
        "clientExtensions": {"id": intent.order_id},
        "tradeClientExtensions": {"id": intent.order_id},
    }


async def trade_once(trader: Trader, *, max_open: int, most_units: int, dice: random.Random) -> None:
    """One move of the desk's own trading: mostly opens a small position, sometimes closes the oldest."""
    positions = await trader.open_positions()
    if positions and (len(positions) >= max_open or dice.random() < 0.2):
        if len(positions) < max_open or dice.random() < 0.2:
            await trader.close_position(positions[0])
        return
    instrument = dice.choice(sorted(PIPS))
    units = Decimal(dice.randint(min(SMALLEST, most_units), most_units) * dice.choice((1, -1)))
    await trader.open_position(instrument, units)


async def leave_market(trader: Trader) -> None:
    """One move of a desk that was told to stop: closes the oldest position, if there is one."""
    for position in (await trader.open_positions())[:1]:
        await trader.close_position(position)
