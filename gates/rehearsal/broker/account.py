"""An account: its balance, trades, orders and transactions. Exact decimals, no sockets, no clock."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from .instruments import INSTRUMENTS
from .market import Market, money
from .orders import Order
from .trades import ZERO, Trade

USER_ID = 1


@dataclass(frozen=True)
class Transaction:
    """One line of the account's history. `fields` are the broker's own names for what is special to its type."""

    id: int
    time: datetime
    batch_id: int
    account_id: str
    type: str
    fields: dict[str, Any]
    request_id: str | None = None

    def shape(self) -> dict[str, Any]:
        head = {"id": str(self.id), "time": self.time, "userID": USER_ID, "accountID": self.account_id}
        head |= {"batchID": str(self.batch_id), "type": self.type}
        if self.request_id:
            head["requestID"] = self.request_id
        return head | {key: value for key, value in self.fields.items() if value is not None}


@dataclass(frozen=True)
class Side:
    """What the closed and open trades of one direction of an instrument have earned."""

    pl: Decimal = ZERO
    financing: Decimal = ZERO


@dataclass
class Account:
    """The state that transactions have built. Transaction n is `transactions[n - 1]`.

    `commission_per_million` is charged in the home currency for each million units dealt.
    """

    id: str
    currency: str
    market: Market
    created_at: datetime
    balance: Decimal = ZERO
    pl: Decimal = ZERO
    financing: Decimal = ZERO
    commission: Decimal = ZERO
    commission_per_million: Decimal = Decimal(0)
    transactions: list[Transaction] = field(default_factory=list)
    orders: dict[int, Order] = field(default_factory=dict)
    pending: dict[int, Order] = field(default_factory=dict)
    trades: dict[int, Trade] = field(default_factory=dict)
    open: dict[int, Trade] = field(default_factory=dict)
    sides: dict[tuple[str, bool], Side] = field(default_factory=dict)
    """(instrument, is long) → totals."""
    commissions: dict[str, Decimal] = field(default_factory=dict)
    last_fill_at: datetime | None = None
    margin_call_at: datetime | None = None

    @property
    def last_id(self) -> int:
        return len(self.transactions)

    @property
    def unrealized(self) -> Decimal:
        return sum((t.unrealized(self.market, self.currency) for t in self.open.values()), ZERO)

    @property
    def nav(self) -> Decimal:
        return self.balance + self.unrealized

    @property
    def margin_used(self) -> Decimal:
        return sum((t.margin(self.market, self.currency) for t in self.open.values()), ZERO)

    @property
    def position_value(self) -> Decimal:
        """The open units in the home currency."""
        return sum(
            (money(abs(t.units) * self.market.base_value(t.instrument, self.currency)) for t in self.open.values()),
            ZERO,
        )

    def open_in(self, instrument: str) -> list[Trade]:
        """Open trades of an instrument, oldest first."""
        return [trade for trade in self.open.values() if trade.instrument == instrument]

    def traded_instruments(self) -> list[str]:
        """Instruments that were ever traded, in the order of the instrument list."""
        return [name for name in INSTRUMENTS if (name, True) in self.sides or (name, False) in self.sides]

    def copied(self) -> "Account":
        """The same account once more, in the same market; what happens to one leaves the other as it is."""
        shared: dict[int, Any] = {id(self.market): self.market}
        shared |= {id(transaction): transaction for transaction in self.transactions}  # never change once made
        return copy.deepcopy(self, shared)

    def earn(self, trade: Trade, *, pl: Decimal = ZERO, financing: Decimal = ZERO) -> None:
        """Add to the totals of the trade, its side and the account; the balance is the transaction's business."""
        trade.realized += pl
        trade.financing += financing
        key = (trade.instrument, trade.initial_units > 0)
        side = self.sides.get(key, Side())
        self.sides[key] = Side(side.pl + pl, side.financing + financing)
        self.pl += pl
        self.financing += financing

    def order_by(self, specifier: str) -> Order | None:
        """By id, or the pending order with client id `@…`."""
        if specifier.startswith("@"):
            return next((o for o in self.pending.values() if o.client_id == specifier[1:]), None)
        return self.orders.get(_number(specifier))

    def trade_by(self, specifier: str) -> Trade | None:
        """By id, or the open trade with client id `@…`."""
        if specifier.startswith("@"):
            return next((t for t in self.open.values() if t.client_id == specifier[1:]), None)
        return self.trades.get(_number(specifier))


class Batch:
    """Transactions that apply together, at one time, because of one request or one price."""

    def __init__(self, account: Account, now: datetime, request_id: str | None = None) -> None:
        self.account = account
        self.now = now
        self.request_id = request_id
        self.first_id = account.last_id + 1

    @property
    def next_id(self) -> int:
        return self.account.last_id + 1

    def record(self, kind: str, fields: dict[str, Any]) -> Transaction:
        """Append one transaction to the account's history."""
        transaction = Transaction(
            id=self.next_id,
            time=self.now,
            batch_id=self.first_id,
            account_id=self.account.id,
            type=kind,
            fields=fields,
            request_id=self.request_id,
        )
        self.account.transactions.append(transaction)
        return transaction

    def recorded(self) -> Iterator[Transaction]:
        """The transactions of this batch so far."""
        return iter(self.account.transactions[self.first_id - 1 :])


def open_account(account: Account, balance: Decimal) -> None:
    """Record how an account came to be: created, configured, and funded with `balance`."""
    parts = account.id.split("-")
    numbers = [int(part) if part.isdigit() else 1 for part in parts] if len(parts) == 4 else [101, 1, 1, 1]
    batch = Batch(account, account.created_at)
    batch.record(
        "CREATE",
        {
            "divisionID": numbers[1],
            "siteID": numbers[0],
            "accountUserID": numbers[2],
            "accountNumber": numbers[3],
            "homeCurrency": account.currency,
        },
    )
    batch.record("CLIENT_CONFIGURE", {"alias": "Primary", "marginRate": Decimal("0.02")})
    transfer_funds(account, balance, account.created_at)


def transfer_funds(account: Account, amount: Decimal, now: datetime) -> Transaction:
    """Move `amount` of home currency into the account, or out of it where negative."""
    account.balance += money(amount)
    return Batch(account, now).record(
        "TRANSFER_FUNDS",
        {"amount": money(amount), "fundingReason": "CLIENT_FUNDING", "accountBalance": account.balance},
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
