"""What the query and the path of a request ask for, checked."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from starlette.requests import Request

from .account import Account
from .door import Refusal
from .instruments import INSTRUMENTS, Instrument
from .orders import Order, gtd_at
from .trades import Trade

MAXIMUM_LISTED = 500


def instrument_in_path(request: Request) -> Instrument:
    name = request.path_params["instrument"]
    if name not in INSTRUMENTS:
        raise Refusal(400, "Invalid value specified for 'instrument'")
    return INSTRUMENTS[name]


def asked_instruments(request: Request, *, every: bool = False) -> list[Instrument]:
    """The instruments of the query; all of them where `every` and none is named. Raises Refusal."""
    text = request.query_params.get("instruments", "")
    names = [name for name in text.split(",") if name]
    if not names and every:
        return list(INSTRUMENTS.values())
    if not names:
        raise Refusal(400, "Required parameter 'instruments' is missing")
    unknown = [name for name in names if name not in INSTRUMENTS]
    if unknown:
        raise Refusal(400, f"Invalid value specified for 'instruments': {unknown[0][:50]}")
    return [INSTRUMENTS[name] for name in dict.fromkeys(names)]


def page[T: (Order, Trade)](request: Request, rows: dict[int, T]) -> list[T]:
    """Newest first; those of `ids`, or those older than `beforeID`."""
    query = request.query_params
    if "ids" in query:
        wanted = {int(text) for text in query["ids"].split(",") if text.isdigit()}
        return [rows[number] for number in sorted(wanted, reverse=True) if number in rows]
    before = query.get("beforeID")
    found = list(reversed(rows.values()))
    return [row for row in found if row.id < int(before)] if before and before.isdigit() else found


def count_of(request: Request, *, default: int = 50, most: int = MAXIMUM_LISTED) -> int:
    text = request.query_params.get("count")
    if text is None:
        return default
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise Refusal(400, f"Invalid value specified for 'count': 1 to {most}")
    return int(text)


def id_of(request: Request, name: str, account: Account) -> int:
    """A transaction id of this account in the query. Raises Refusal."""
    text = request.query_params.get(name)
    if text is None or not text.isdigit() or len(text) > 18:
        raise Refusal(400, f"Invalid value specified for '{name}'")
    if int(text) > account.last_id:
        raise Refusal(
            416, f"The transaction ID in '{name}' is beyond the last one", lastTransactionID=str(account.last_id)
        )
    return int(text)


def time_of(text: str | None) -> datetime | None:
    """RFC 3339 or seconds since 1970. Raises Refusal."""
    if text is None:
        return None
    try:
        return datetime.fromtimestamp(float(Decimal(text)), UTC)
    except (InvalidOperation, ValueError, OverflowError):
        pass
    try:
        return gtd_at(text)
    except ValueError as error:
        raise Refusal(400, f"Invalid value specified for a time: {text[:40]}") from error
