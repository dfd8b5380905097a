"""Orders: what they are, and how a request becomes one or is rejected with the broker's reason."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from .instruments import INSTRUMENTS, MAXIMUM_UNITS, MINIMUM_UNITS, Instrument

Body = dict[str, Any]

PRICED_ENTRIES = ("LIMIT", "STOP", "MARKET_IF_TOUCHED")
ENTRIES = ("MARKET", *PRICED_ENTRIES)
PROTECTIONS = ("TAKE_PROFIT", "STOP_LOSS", "TRAILING_STOP_LOSS")
ON_FILL = {
    "TAKE_PROFIT": "takeProfitOnFill",
    "STOP_LOSS": "stopLossOnFill",
    "TRAILING_STOP_LOSS": "trailingStopLossOnFill",
}
TRIGGERS = ("DEFAULT", "INVERSE", "BID", "ASK", "MID")
POSITION_FILLS = ("DEFAULT", "REDUCE_FIRST", "OPEN_ONLY", "REDUCE_ONLY")


class Rejected(Exception):  # noqa: N818  the broker's own word
    """A request the broker refuses; `reason` is one of its TransactionRejectReason values."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass
class Order:
    """An order and what became of it. Ids are transaction ids; `units` is signed, negative sells."""

    id: int
    type: str
    created: datetime
    time_in_force: str
    instrument: str
    units: Decimal | None = None
    price: Decimal | None = None
    price_bound: Decimal | None = None
    distance: Decimal | None = None
    gtd_time: str | None = None
    position_fill: str = "DEFAULT"
    trigger: str = "DEFAULT"
    trade_id: int | None = None
    client_trade_id: str | None = None
    client_extensions: Body | None = None
    trade_extensions: Body | None = None
    on_fill: dict[str, Body] = field(default_factory=dict)
    closes: Body = field(default_factory=dict)
    """`tradeClose`, `longPositionCloseout`, `shortPositionCloseout` or `marginCloseout` of a closing market order."""
    market_at_start: Decimal | None = None
    trailing_value: Decimal | None = None
    state: str = "PENDING"
    filling_id: int | None = None
    filled_at: datetime | None = None
    opened: int | None = None
    reduced: int | None = None
    closed: list[int] = field(default_factory=list)
    cancelling_id: int | None = None
    cancelled_at: datetime | None = None
    replaces: int | None = None
    replaced_by: int | None = None

    @property
    def client_id(self) -> str | None:
        return (self.client_extensions or {}).get("id")


@dataclass(frozen=True)
class Fields:
    """The checked parts of an order request, before it has an id."""

    type: str
    values: Body


def decimal_of(raw: object, reason: str) -> Decimal:
    """The number in `raw` (a string or a JSON number); Rejected with `reason` where there is none."""
    try:
        number = Decimal(str(raw))
    except InvalidOperation as error:
        raise Rejected(reason) from error
    if not number.is_finite():
        raise Rejected(reason)
    return number


def price_of(spec: Instrument, raw: object, prefix: str = "PRICE") -> Decimal:
    """A positive price within the instrument's precision."""
    price = decimal_of(raw, f"{prefix}_INVALID")
    if price <= 0 or price > 1_000_000:
        raise Rejected(f"{prefix}_INVALID")
    if price != spec.price(price):
        raise Rejected(f"{prefix}_PRECISION_EXCEEDED")
    return spec.price(price)


def units_of(raw: object) -> Decimal:
    """A whole number of units other than zero."""
    if raw in (None, ""):
        raise Rejected("UNITS_MISSING")
    units = decimal_of(raw, "UNITS_INVALID")
    if units == 0:
        raise Rejected("UNITS_INVALID")
    if units != units.to_integral_value():
        raise Rejected("UNITS_PRECISION_EXCEEDED")
    if abs(units) < MINIMUM_UNITS:
        raise Rejected("UNITS_MIMIMUM_NOT_MET")
    if abs(units) > MAXIMUM_UNITS:
        raise Rejected("UNITS_LIMIT_EXCEEDED")
    return units.quantize(Decimal(1))


def entry_fields(request: Body) -> Fields:
    """Check a market, limit, stop or market-if-touched order. Raises Rejected."""
    kind = request["type"]
    spec = instrument_of(request)
    units = units_of(request.get("units"))
    values: Body = {"instrument": spec.name, "units": units, "time_in_force": _time_in_force(request, kind)}
    if kind in PRICED_ENTRIES:
        if request.get("price") in (None, ""):
            raise Rejected("PRICE_MISSING")
        values["price"] = price_of(spec, request["price"])
        values["gtd_time"] = _gtd_time(request, "TIME_IN_FORCE_")
        values["trigger"] = _one_of(request, "triggerCondition", TRIGGERS, "TRIGGER_CONDITION_INVALID")
    if request.get("priceBound") not in (None, ""):
        values["price_bound"] = price_of(spec, request["priceBound"], "PRICE_BOUND")
    values["position_fill"] = _one_of(request, "positionFill", POSITION_FILLS, "ORDER_FILL_POSITION_ACTION_INVALID")
    values["on_fill"] = {
        name: on_fill_details(spec, name, request[key]) for name, key in ON_FILL.items() if request.get(key) is not None
    }
    values["client_extensions"] = extensions_of(request.get("clientExtensions"), "ORDER")
    values["trade_extensions"] = extensions_of(request.get("tradeClientExtensions"), "TRADE")
    return Fields(kind, values)


def on_fill_details(spec: Instrument, kind: str, details: Body) -> Body:
    """Check `takeProfitOnFill`, `stopLossOnFill` or `trailingStopLossOnFill`. Raises Rejected."""
    prefix = f"{kind}_ON_FILL"
    checked: Body = {"timeInForce": details.get("timeInForce", "GTC")}
    if checked["timeInForce"] not in ("GTC", "GTD", "GFD"):
        raise Rejected(f"{prefix}_TIME_IN_FORCE_INVALID")
    price, distance = details.get("price"), details.get("distance")
    if kind == "STOP_LOSS" and (price is None) == (distance is None):
        raise Rejected(f"{prefix}_PRICE_AND_DISTANCE_BOTH_{'MISSING' if price is None else 'SPECIFIED'}")
    if kind == "TAKE_PROFIT" and price is None:
        raise Rejected(f"{prefix}_PRICE_MISSING")
    if kind == "TRAILING_STOP_LOSS" and distance is None:
        raise Rejected(f"{prefix}_PRICE_DISTANCE_MISSING")
    if price is not None and kind != "TRAILING_STOP_LOSS":
        checked["price"] = price_of(spec, price, f"{prefix}_PRICE")
    if distance is not None and kind != "TAKE_PROFIT":
        checked["distance"] = price_of(
            spec, distance, f"{prefix}_{'DISTANCE' if kind == 'STOP_LOSS' else 'PRICE_DISTANCE'}"
        )
    if gtd_time := _gtd_time(details, f"{prefix}_"):
        checked["gtdTime"] = gtd_time
    if details.get("triggerCondition"):
        checked["triggerCondition"] = _one_of(
            details, "triggerCondition", TRIGGERS, f"{prefix}_TRIGGER_CONDITION_INVALID"
        )
    if details.get("clientExtensions"):
        checked["clientExtensions"] = extensions_of(details["clientExtensions"], "ORDER")
    return checked


def extensions_of(raw: Body | None, what: str) -> Body | None:
    """Client extensions with their three texts, each within 128 characters. Raises Rejected."""
    if not raw:
        return None
    for key in ("id", "tag", "comment"):
        value = raw.get(key)
        if value is not None and (not isinstance(value, str) or len(value) > 128):
            raise Rejected(f"CLIENT_{what}_{key.upper()}_INVALID")
    return {key: raw[key] for key in ("id", "tag", "comment") if raw.get(key) is not None}


def instrument_of(request: Body) -> Instrument:
    name = request.get("instrument")
    if not name:
        raise Rejected("INSTRUMENT_MISSING")
    if not isinstance(name, str) or name not in INSTRUMENTS:
        raise Rejected("INSTRUMENT_UNKNOWN")
    return INSTRUMENTS[name]


def _one_of(request: Body, key: str, allowed: tuple[str, ...], reason: str) -> str:
    value = request.get(key) or "DEFAULT"
    if value not in allowed:
        raise Rejected(reason)
    return str(value)


def _gtd_time(request: Body, prefix: str = "") -> str | None:
    """The time at which a GTD order ends, as it was written. Raises Rejected."""
    text = request.get("gtdTime")
    if request.get("timeInForce") != "GTD":
        return None
    if not text:
        raise Rejected(f"{prefix}GTD_TIMESTAMP_MISSING")
    try:
        gtd_at(str(text))
    except ValueError as error:
        raise Rejected(f"{prefix}GTD_TIMESTAMP_IN_PAST") from error
    return str(text)


def gtd_at(text: str) -> datetime:
    """The time in an RFC 3339 text of up to nine decimals. Raises ValueError."""
    head, dot, rest = text.replace("Z", "+00:00").partition(".")
    if dot:
        digits = rest[: len(rest) - 6]
        rest = digits[:6].ljust(6, "0") + rest[len(digits) :]
    at = datetime.fromisoformat(head + dot + rest)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no zone; write it as 2026-01-31T12:00:00Z")
    return at


def _time_in_force(request: Body, kind: str) -> str:
    value = request.get("timeInForce") or ("FOK" if kind == "MARKET" else "GTC")
    allowed = ("FOK", "IOC") if kind == "MARKET" else ("GTC", "GTD", "GFD", "FOK", "IOC")
    if value not in allowed:
        raise Rejected("TIME_IN_FORCE_INVALID")
    return str(value)
