"""Ways to break a set of books, one thing at a time."""

from collections.abc import Callable
from typing import Any

from tests.audits.books import Books, text_at

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
