"""The account that follows from a statement's transactions alone. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from audits.transactions import Record, TransactionUnreadable, exact, required


def derived_account(account_id: str, records: Sequence[Record]) -> dict[str, Any]:
    """Return the account as its transactions, in order and without a gap, leave it.

    The balance is the last `accountBalance`, the currency that of its CREATE. Open trades are known only where the
    statement starts with CREATE, so that no trade can be older than it; else the account has no `trades`. Raises
    TransactionUnreadable where no transaction tells a balance.
    """
    balance = next((record["accountBalance"] for record in reversed(records) if "accountBalance" in record), None)
    if balance is None:
        raise TransactionUnreadable(
            f"No transaction of account {account_id} tells an accountBalance: add the account to the statement."
        )
    account: dict[str, Any] = {
        "id": account_id,
        "derived": True,
        "currency": next((record.get("homeCurrency") for record in records if record["type"] == "CREATE"), None),
        "balance": balance,
        "lastTransactionID": str(records[-1]["id"]),
    }
    if records[0]["type"] == "CREATE":
        trades = _open_trades(records)
        account |= {"trades": trades, "openTradeCount": len(trades)}
    return account


def _open_trades(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Follow each trade from the fill that opened it through those that reduced and closed it."""
    trades: dict[str, dict[str, Any]] = {}
    for record in records:
        for opened in _parts(record, "tradeOpened"):
            units = _units(opened)
            trades[required(opened, "tradeID")] = {
                "id": required(opened, "tradeID"),
                "instrument": required(record, "instrument"),
                "initialUnits": str(units),
                "currentUnits": str(units),
                "price": opened.get("price", record.get("price")),
                "openTime": record["time"],
            }
        for reduced in _parts(record, "tradeReduced"):
            trade = _trade(trades, reduced, record)
            units, gone = Decimal(trade["currentUnits"]), abs(_units(reduced))
            trade["currentUnits"] = str(units - gone if units > 0 else units + gone)
        for closed in _parts(record, "tradesClosed"):
            del trades[_trade(trades, closed, record)["id"]]
    return list(trades.values())


def _parts(record: Record, name: str) -> list[Record]:
    """Only a fill opens, reduces and closes; the other types that carry these names tell what a fill did."""
    if record["type"] != "ORDER_FILL" or not record.get(name):
        return []
    found = record[name]
    return found if isinstance(found, list) else [found]


def _trade(trades: dict[str, dict[str, Any]], part: Record, record: Record) -> dict[str, Any]:
    trade = trades.get(required(part, "tradeID"))
    if trade is None:
        raise TransactionUnreadable(
            f"Transaction {record['id']} reduces trade {part['tradeID']}, which no transaction before it opened."
        )
    return trade


def _units(part: Record) -> Decimal:
    units = exact(part, "units")
    if units is None:
        raise TransactionUnreadable(f"The trade {part.get('tradeID', '?')} is told without its units.")
    return units
