"""Broker transactions as OANDA writes them, for the desk's tests."""

from typing import Any

ACCOUNT = "101-001-0000001-001"


def funding(number: int = 1, amount: str = "100000.0000", balance: str = "100000.0000") -> dict[str, Any]:
    return _transaction(number, "TRANSFER_FUNDS", amount=amount, accountBalance=balance)


def market_order(number: int, *, units: str, client_id: str, stop: str = "1.0990") -> dict[str, Any]:
    return _transaction(
        number,
        "MARKET_ORDER",
        instrument="EUR_USD",
        units=units,
        clientExtensions={"id": client_id},
        stopLossOnFill={"price": stop},
        takeProfitOnFill={"price": "1.1010"},
    )


def opening_fill(number: int, *, order: int, units: str, balance: str) -> dict[str, Any]:
    opened = {"tradeID": str(number), "units": units, "price": "1.10000", "initialMarginRequired": "22.0000"}
    return _fill(number, order, units=units, accountBalance=balance, reason="MARKET_ORDER", tradeOpened=opened)


def closing_part(trade: int, *, units: str, pnl: str, financing: str = "0.0000") -> dict[str, Any]:
    return {
        "tradeID": str(trade),
        "units": units,
        "price": "1.09900",
        "realizedPL": pnl,
        "financing": financing,
    }


def _fill(number: int, order: int, **fields: Any) -> dict[str, Any]:
    return _transaction(number, "ORDER_FILL", orderID=str(order), instrument="EUR_USD", price="1.10000", **fields)


def closing_fill(
    number: int, *, order: int, parts: list[dict[str, Any]], balance: str, **fields: Any
) -> dict[str, Any]:
    return _fill(number, order, tradesClosed=parts, accountBalance=balance, **fields)


def _transaction(number: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "type": kind,
        "time": f"2026-11-22T10:00:{number % 60:02d}.123456789Z",
        **fields,
    }
