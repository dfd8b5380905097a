"""The broker's books of one moment: its account, open trades and transactions, as rows of the contract. Pure but for
the one read of transactions."""

from dataclasses import dataclass
from typing import Any

from audits.contract import BROKER_ACCOUNT, BROKER_TRADES, BROKER_TRANSACTIONS, Relation
from audits.exact_columns import SnapshotUnreadable
from audits.sources import Broker
from audits.transactions import Record, TransactionUnreadable, as_text, exact, moment_of, number_of, required, whole

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class BrokerBooks:
    """One account with its open trades, and every transaction up to the account's last."""

    account: Record
    transactions: tuple[Record, ...]

    @classmethod
    def at(cls, account: Record, broker: Broker, before: "BrokerBooks | None" = None) -> "BrokerBooks":
        """Read the transactions that `before` lacks; what happened after `account` was read is left out."""
        kept = before.transactions if before else ()
        last = whole(account, "lastTransactionID")
        since = number_of(kept[-1]) if kept else 0
        new = broker.transactions(since) if since < last or not kept else []
        return cls(account, (*kept, *(record for record in new if number_of(record) <= last)))

    @property
    def account_id(self) -> str:
        """The broker's name for the account."""
        return required(self.account, "id")

    @property
    def derived(self) -> bool:
        """Whether the account was derived from its transactions, which may not tell its currency or open trades."""
        return bool(self.account.get("derived"))

    @property
    def knows_trades(self) -> bool:
        """Whether the open trades are known; only of a derived account they may not be."""
        return not self.derived or "trades" in self.account

    @property
    def last_transaction_id(self) -> str:
        """The last transaction that the account has seen."""
        return required(self.account, "lastTransactionID")


def broker_rows(books: tuple[BrokerBooks, ...]) -> dict[Relation, list[list[tuple[Any, ...]]]]:
    """The rows of the broker's relations; open trades only where they are known of every account.

    Raises SnapshotUnreadable.
    """
    try:
        rows = {
            BROKER_TRANSACTIONS: [transaction_rows(each) for each in books],
            BROKER_TRADES: [trade_rows(each) for each in books if each.knows_trades],
            BROKER_ACCOUNT: [account_rows(each) for each in books],
        }
    except TransactionUnreadable as error:
        raise SnapshotUnreadable(f"The broker's books cannot be read: {error}") from error
    return {relation: batches for relation, batches in rows.items() if len(batches) == len(books)}


def transaction_rows(books: BrokerBooks) -> list[Row]:
    """Return the transactions as rows of `broker_transactions`."""
    return [
        (
            required(record, "id"),
            str(record.get("accountID") or books.account_id),
            moment_of(required(record, "time")),
            required(record, "type"),
            _text(record, "batchID"),
            exact(record, "accountBalance"),
            exact(record, "pl"),
            exact(record, "financing"),
            exact(record, "commission"),
            exact(record, "guaranteedExecutionFee"),
            exact(record, "dividendAdjustment"),
            exact(record, "amount"),
            _text(record, "orderID"),
            _text(record, "reason"),
            as_text(record),
        )
        for record in books.transactions
    ]


def trade_rows(books: BrokerBooks) -> list[Row]:
    """Return the open trades as rows of `broker_trades`; `units` is what is still open, signed."""
    return [
        (
            required(trade, "id"),
            books.account_id,
            required(trade, "instrument"),
            exact(trade, "currentUnits"),
            exact(trade, "initialUnits"),
            exact(trade, "price"),
            exact(trade, "unrealizedPL"),
            moment_of(str(trade["openTime"])) if trade.get("openTime") else None,
            as_text(trade),
        )
        for trade in _open_trades(books.account)
    ]


def account_rows(books: BrokerBooks) -> list[Row]:
    """Return the account as the one row of `broker_account`."""
    account = books.account
    return [
        (
            books.account_id,
            _text(account, "currency") if books.derived else required(account, "currency"),
            exact(account, "balance"),
            exact(account, "NAV"),
            exact(account, "unrealizedPL"),
            exact(account, "marginUsed"),
            whole(account, "openTradeCount") if books.knows_trades else None,
            books.last_transaction_id,
            as_text(account),
        )
    ]


def _open_trades(account: Record) -> list[Record]:
    trades = account.get("trades")
    if not isinstance(trades, list) or not all(isinstance(trade, dict) for trade in trades):
        raise TransactionUnreadable(f"The account {account.get('id', '?')} has no list of trades.")
    return trades


def _text(record: Record, field: str) -> str | None:
    value = record.get(field)
    return None if value is None else str(value)
