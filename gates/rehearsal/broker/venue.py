"""The venue: one market, its accounts, its armed faults, and those who listen to its streams."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from .account import Account, Batch, Transaction, open_account, transfer_funds
from .asks import Ask, answer
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
    """All state of the broker. Only the event loop's thread may touch it.

    Whatever changes it is an event (plain JSON) that goes to the journal first and is then applied; faults and
    listeners are not part of the state.
    """

    market: Market = field(default_factory=Market)
    candles: Candles = field(default_factory=Candles)
    faults: Faults = field(default_factory=Faults)
    accounts: dict[str, Account] = field(default_factory=dict)
    listeners: set[Listener] = field(default_factory=set)
    commission_per_million: Decimal = Decimal(0)
    journal: Journal | None = None
    beats: int = 0
    """Ticks of the feed since the beginning of the journal."""
    _withheld: set[tuple[str, int]] = field(default_factory=set)
    _kept: dict[str, Account] = field(default_factory=dict)
    _requests: int = 0

    def restore(self) -> bool:
        """Play the journal; whether there was anything in it."""
        found = False
        for event in self.journal.lines() if self.journal else ():
            self._apply(event)
            found = True
        return found

    def open_account(self, account_id: str, currency: str, balance: Decimal, now: datetime) -> Account:
        """Create an account, or start it afresh."""
        self._happens("open", now, account=account_id, currency=currency, balance=str(balance))
        return self.accounts[account_id]

    def take(self, *prices: Price, is_beat: bool = False) -> None:
        """New prices of one time: seen by the candles, the streams and every account's orders."""
        rows = [[price.instrument, str(price.bid), str(price.ask)] for price in prices]
        withhold = self.faults.find("withhold_stops") is not None
        self._happens("prices", prices[0].time, rows=rows, withhold=withhold, beat=is_beat)

    def carry_out(self, account_id: str, ask: Ask, now: datetime) -> Outcome:
        """Let a client's request change an account, and tell the streams what it caused."""
        told = {"name": ask.name, "specifier": ask.specifier, "body": ask.body}
        done: Outcome = self._happens("ask", now, account=account_id, request=self.next_request_id(), **told)
        return done

    def transfer(self, account_id: str, amount: Decimal, now: datetime) -> Transaction:
        """Move money into an account, or out of it where `amount` is negative."""
        self._happens("transfer", now, account=account_id, amount=str(amount))
        return self.accounts[account_id].transactions[-1]

    def keep_account(self, account_id: str, now: datetime) -> Account:
        """Remember an account as it is now, in place of what was remembered before."""
        self._happens("keep", now, account=account_id)
        return self.accounts[account_id]

    def return_account(self, account_id: str, now: datetime) -> Account:
        """Take an account back to what was remembered of it. Raises KeyError where nothing was."""
        if account_id not in self._kept:
            raise KeyError(account_id)
        self._happens("return", now, account=account_id)
        return self.accounts[account_id]

    def limit_next_fill(self, instrument: str, units: Decimal, now: datetime) -> None:
        """At most `units` can be dealt by the next fill of `instrument`."""
        self._happens("limit", now, instrument=instrument, units=str(units))

    def charge_financing(self, now: datetime, *, days: int = 1, only: str | None = None) -> list[Transaction]:
        """Book financing on the open trades of every account, or of one; returns what was booked."""
        booked: list[Transaction] = self._happens("financing", now, days=days, only=only)
        return booked

    def next_request_id(self) -> str:
        self._requests += 1
        return str(70_000_000_000_000_000 + self._requests)

    def _happens(self, what: str, now: datetime, **fields: Any) -> Any:
        event = {"do": what, "at": now.isoformat(), **fields}
        if self.journal:
            self.journal.append(event)
        return self._apply(event)

    def _apply(self, event: dict[str, Any]) -> Any:
        """Change the state as an event says, now or when the journal is played."""
        now = datetime.fromisoformat(event["at"])
        match event["do"]:
            case "open":
                self._open(event, now)
            case "prices":
                self.beats += event["beat"]
                for name, bid, ask in event["rows"]:
                    self._take(Price(name, Decimal(bid), Decimal(ask), now), withhold=event["withhold"])
            case "ask":
                return self._answer(event, now)
            case "transfer":
                with self._published(self.accounts[event["account"]]) as account:
                    transfer_funds(account, Decimal(event["amount"]), now)
            case "keep":
                self._kept[event["account"]] = self.accounts[event["account"]].copied()
            case "return":
                self.accounts[event["account"]] = self._kept[event["account"]].copied()
            case "limit":
                self.market.limit_next_fill(event["instrument"], Decimal(event["units"]))
            case "financing":
                return self._charge(event, now)
        return None

    def _open(self, event: dict[str, Any], now: datetime) -> None:
        account = Account(event["account"], event["currency"], self.market, now)
        account.commission_per_million = self.commission_per_million
        self.accounts[account.id] = account
        with self._published(account):
            open_account(account, Decimal(event["balance"]))

    def _take(self, price: Price, *, withhold: bool) -> None:
        self.market.take(price)
        self.candles.take(price)
        for listener in self.listeners:
            if price.instrument in listener.instruments:
                listener.tell(price)
        for account in self.accounts.values():
            with self._published(account):
                for order in tick(account, price, withhold_stops=withhold):
                    self._withhold(account, order)

    def _withhold(self, account: Account, order: Order) -> None:
        """Count the first touch of each order that a fault keeps from being executed."""
        key = (account.id, order.id)
        if key not in self._withheld:
            self._withheld.add(key)
            self.faults.strike("withhold_stops")

    def _answer(self, event: dict[str, Any], now: datetime) -> Outcome:
        with self._published(self.accounts[event["account"]]) as account:
            ask = Ask(event["name"], event["specifier"], event["body"])
            return answer(Batch(account, now, event["request"]), ask)

    def _charge(self, event: dict[str, Any], now: datetime) -> list[Transaction]:
        booked = []
        for account in self.accounts.values():
            if event["only"] in (None, account.id):
                with self._published(account):
                    booked.append(charge_financing(Batch(account, now), event["days"]))
        return [transaction for transaction in booked if transaction is not None]

    @contextmanager
    def _published(self, account: Account) -> Iterator[Account]:
        """Tell the streams the transactions that are made inside."""
        before = account.last_id
        yield account
        for transaction in account.transactions[before:]:
            for listener in self.listeners:
                if listener.account_id == account.id:
                    listener.tell(transaction)
