"""Ways to break a set of books, one thing at a time."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.audits.books import ACCOUNT, Books, at, text_at

Break = Callable[[Books], None]


def change(relation: str, index: int, **values: object) -> Break:
    """Change values of one row of the ledger."""
    return lambda books: books.rows(relation)[index].update(values)


def drop(relation: str, index: int) -> Break:
    """Leave out one row of the ledger."""

    def dropped(books: Books) -> None:
        books.rows(relation).pop(index)

    return dropped


def again(relation: str, index: int, **values: object) -> Break:
    """Give one row of the ledger a second time, with other values."""
    return lambda books: books.rows(relation).append(books.rows(relation)[index] | values)


def change_account(**values: object) -> Break:
    """Change what the broker says of the account."""
    return lambda books: books.account.update(values)


def change_trade(**values: object) -> Break:
    """Change the broker's open trade."""
    return lambda books: books.account["trades"][0].update(values)


def change_transaction(number: int, **values: object) -> Break:
    """Change, or with None leave out, fields of one of the broker's transactions."""

    def changed(books: Books) -> None:
        record = books.transactions[number - 1]
        record.update(values)
        for field in [field for field, value in values.items() if value is None]:
            del record[field]

    return changed


def change_prices(bids: dict[float, tuple[str, str]]) -> Break:
    """Let the market move: seconds → lowest and highest bid of the candle that starts then."""
    return lambda books: books.bids.update(bids)


def add_transaction(kind: str, seconds: float, **fields: Any) -> Break:
    """Add a transaction after the broker's last."""

    def added(books: Books) -> None:
        number = str(int(books.account["lastTransactionID"]) + 1)
        books.transactions.append({"id": number, "type": kind, "time": text_at(seconds), **fields})
        books.account["lastTransactionID"] = number

    return added


def both(*breaks: Break) -> Break:
    """Break several things."""

    def broken(books: Books) -> None:
        for each in breaks:
            each(books)

    return broken


def erase_the_open_position(books: Books) -> None:
    """As if the position had never been."""
    for relation in ("positions", "executions", "orders", "position_events"):
        rows = books.rows(relation)
        rows[:] = [row for row in rows if row.get("position_id") != "p2"]


def close_the_open_position(books: Books, seconds: float = 55) -> None:
    """The open position is closed at its entry price, here and at the broker."""
    order, fill = (str(int(books.account["lastTransactionID"]) + step) for step in (1, 2))
    closed = {"tradeID": "6", "units": "500", "price": "1.1", "realizedPL": "0.0000"}
    add_transaction("MARKET_ORDER", seconds, instrument="EUR_USD", units="500")(books)
    money = {"pl": "0.0000", "financing": "0", "commission": "0", "accountBalance": "100012.2500"}
    add_transaction(
        "ORDER_FILL", seconds, **money, reason="MARKET_ORDER_TRADE_CLOSE", orderID=order, tradesClosed=[closed]
    )(books)
    books.account.update(trades=[], openTradeCount=0, NAV="100012.2500", marginUsed="0", positionValue="0")
    balance, nothing, moment = Decimal("100012.25"), Decimal(0), at(seconds)
    books.rows("accounts")[0].update(equity=balance, margin_used=nothing, margin_available=balance)
    over = {"units_open": nothing, "status": "closed", "close_reason": "MARKET", "closed_at": moment}
    books.rows("positions")[1].update(over | {"margin_used": nothing})
    again("orders", 1, order_id="o2c", client_order_id="c2c", position_id="p2", broker_order_id=order)(books)
    books.rows("orders")[-1].update(units=Decimal(500), created_at=moment, updated_at=moment)
    deal = {"execution_id": "x2c", "order_id": "o2c", "position_id": "p2", "broker_transaction_id": fill}
    again("executions", 1, **deal, units=Decimal(500), price=Decimal("1.1"))(books)
    books.rows("executions")[-1].update(realized_pnl=nothing, executed_at=moment)
    told = ({"units": "500"}, {"realized_pnl": "0"}, {"margin_used": "0"}, {})
    for number, payload in enumerate(told):
        key = {"position_id": "p2", "event_id": f"e2.c{number}", "idempotency_key": f"p2/c{number}"}
        again("position_events", 3 + number, **key, sequence=4 + number, payload=json.dumps(payload))(books)
        books.rows("position_events")[-1].update(occurred_at=moment, recorded_at=moment)


def send_an_order(broker_order_id: str | None, status: str, **values: object) -> Break:
    """An order that waits for its price, more than a minute before the snapshot."""
    row = {"order_id": "o9", "account_id": ACCOUNT, "client_order_id": "c9", "instrument": "EUR_USD"}
    row |= {"order_type": "limit", "units": Decimal(1000), "created_at": at(-1), "updated_at": at(-1)}
    return lambda books: books.rows("orders").append(
        row | {"broker_order_id": broker_order_id, "status": status} | values
    )


def hold_an_order(**values: object) -> Break:
    """The broker takes an order that waits for its price, more than a minute before the snapshot."""
    return add_transaction("LIMIT_ORDER", -1, **{"instrument": "EUR_USD", "units": "1000", "price": "1.05"} | values)
