"""The venue: one market, its accounts, its armed faults, and those who listen to its streams."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from .account import Account, Batch, Transaction, open_account, transfer_funds
from .candles import Candles
from .commands import Outcome
from .faults import Faults
from .financing import charge_financing
from .journal import Journal
from .market import Market, Price
from .orders import Order
from .triggers import tick

QUEUED_LINES = 10_000
"""A listener that falls further behind is cut off, as the real service does."""


@dataclass(eq=False)
class Listener:
    """An open stream. `account_id` is None for prices."""

    queue: asyncio.Queue[Transaction | Price | None] = field(default_factory=lambda: asyncio.Queue(QUEUED_LINES))
    account_id: str | None = None
    instruments: frozenset[str] = frozenset()

    def tell(self, line: Transaction | Price) -> None:
        """Queue a line; a full queue is emptied and ended."""
        if self.queue.full():
            while not self.queue.empty():
                self.queue.get_nowait()
            self.queue.put_nowait(None)
            return
        self.queue.put_nowait(line)


@dataclass
class Venue:
    """All state of the broker. Only the event loop's thread may touch it."""

    market: Market = field(default_factory=Market)
    candles: Candles = field(default_factory=Candles)
    faults: Faults = field(default_factory=Faults)
    accounts: dict[str, Account] = field(default_factory=dict)
    listeners: set[Listener] = field(default_factory=set)
    commission_per_million: Decimal = Decimal(0)
    journal: Journal | None = None
    _withheld: set[tuple[str, int]] = field(default_factory=set)
    _requests: int = 0

    def open_account(self, account_id: str, currency: str, balance: Decimal, now: datetime) -> Account:
        """Create an account, or start it afresh."""
        account = Account(account_id, currency, self.market, now, commission_per_million=self.commission_per_million)
        open_account(account, balance)
        self.accounts[account_id] = account
        if self.journal:
            self.journal.start(account_id)
        self.publish(account, 0)
        return account

    def take(self, price: Price) -> None:
        """A new price: it is seen by the candles, the streams and every account's orders."""
        self.market.take(price)
        self.candles.take(price)
        for listener in self.listeners:
            if price.instrument in listener.instruments:
                listener.tell(price)
        withheld = self.faults.find("withhold_stops") is not None
        for account in self.accounts.values():
            before = account.last_id
            for order in tick(account, price, withhold_stops=withheld):
                self._withhold(account, order)
            self.publish(account, before)

    def _withhold(self, account: Account, order: Order) -> None:
        """Count the first touch of each order that a fault keeps from being executed."""
        key = (account.id, order.id)
        if key not in self._withheld:
            self._withheld.add(key)
            self.faults.strike("withhold_stops")

    def take_all(self, prices: Iterable[Price]) -> None:
        for price in prices:
            self.take(price)

    def carry_out(self, account: Account, now: datetime, command: Callable[[Batch], Outcome]) -> Outcome:
        """Let a command change an account, and tell the streams what it caused."""
        before = account.last_id
        result = command(Batch(account, now, self.next_request_id()))
        self.publish(account, before)
        return result

    def transfer(self, account: Account, amount: Decimal, now: datetime) -> Transaction:
        """Move money into an account, or out of it where `amount` is negative."""
        before = account.last_id
        transaction = transfer_funds(account, amount, now)
        self.publish(account, before)
        return transaction

    def charge_financing(self, now: datetime, *, days: int = 1, only: str | None = None) -> list[Transaction]:
        """Book financing on the open trades of every account, or of one; returns what was booked."""
        booked = []
        for account in self.accounts.values():
            if only in (None, account.id):
                before = account.last_id
                booked.append(charge_financing(Batch(account, now), days))
                self.publish(account, before)
        return [transaction for transaction in booked if transaction is not None]

    def publish(self, account: Account, before: int) -> None:
        """Put the transactions after number `before` in the journal, and tell the streams."""
        new = account.transactions[before:]
        if new and self.journal:
            self.journal.append(account.id, new)
        for transaction in new:
            for listener in self.listeners:
                if listener.account_id == account.id:
                    listener.tell(transaction)

    def next_request_id(self) -> str:
        self._requests += 1
        return str(70_000_000_000_000_000 + self._requests)
