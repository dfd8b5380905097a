"""The broker over HTTP (OANDA v20 REST), and nothing else.

BrokerError
├── BrokerUnavailableError   no answer, or one that says nothing about the request: the outcome is in doubt
└── BrokerRefusedError       a clear no, with the broker's own words
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from json import dumps, loads
from typing import Any
from urllib.parse import urlencode

from gates.rehearsal.desk.exchanges import Caller, ExchangeError

TIMEOUT_S = 3.0
READ_PAUSES_S = (0.1, 0.3, 0.9)
CLEAR_REFUSALS = {400, 404}


class BrokerError(Exception):
    """Something went wrong between the desk and the broker."""


class BrokerUnavailableError(BrokerError):
    """No usable answer; what was asked may or may not have been done."""


class BrokerRefusedError(BrokerError):
    """The broker understood and said no."""


@dataclass(frozen=True)
class Quote:
    """Best bid and ask, in quote currency."""

    bid: Decimal
    ask: Decimal


@dataclass(frozen=True)
class TransactionPage:
    """Transactions after a cursor, in order of id, and the broker's last id."""

    transactions: tuple[Mapping[str, Any], ...]
    last_transaction_id: int


class Broker:
    """Reads are retried with growing pauses; a write is sent once, and its doubt is the caller's."""

    def __init__(self, url: str, *, token: str, account_id: str) -> None:
        self.account_id = account_id
        headers = {"Authorization": f"Bearer {token}", "Accept-Datetime-Format": "RFC3339"}
        self._caller = Caller(f"{url.rstrip('/')}/v3/accounts/{account_id}", headers)

    def close(self) -> None:
        """Closes its connections."""
        self._caller.close()

    async def account(self) -> dict[str, Any]:
        """The whole account: balance, NAV, openTrades, with `lastTransactionID` of the same moment."""
        answer = await self._read("")
        return {**answer["account"], "lastTransactionID": answer["lastTransactionID"]}

    async def ping(self) -> None:
        """One cheap read, not retried. Raises BrokerError."""
        await self._once("GET", "/summary")

    async def transactions_since(self, cursor: int) -> TransactionPage:
        """Transactions with an id above `cursor`."""
        answer = await self._read("/transactions/sinceid", params={"id": str(cursor)})
        ordered = sorted(answer["transactions"], key=lambda transaction: int(transaction["id"]))
        return TransactionPage(tuple(ordered), int(answer["lastTransactionID"]))

    async def quote(self, instrument: str) -> Quote:
        """The current best prices. Raises BrokerUnavailableError when the broker has none."""
        answer = await self._read("/pricing", params={"instruments": instrument})
        try:
            price = answer["prices"][0]
            return Quote(Decimal(price["bids"][0]["price"]), Decimal(price["asks"][0]["price"]))
        except (LookupError, ArithmeticError) as error:
            raise BrokerUnavailableError(f"the broker has no price for {instrument}") from error

    async def place(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Sends an order once."""
        return await self._once("POST", "/orders", json={"order": order})

    async def close_trade(self, trade_id: str, *, units: str) -> dict[str, Any]:
        """Closes `units` of a trade (a number without sign, or ALL), once."""
        return await self._once("PUT", f"/trades/{trade_id}/close", json={"units": units})

    async def _read(self, path: str, *, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        for pause_s in READ_PAUSES_S:
            try:
                return await self._once("GET", path, params=params)
            except BrokerUnavailableError:
                await asyncio.sleep(pause_s)
        return await self._once("GET", path, params=params)

    async def _once(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        asked = f"{path}?{urlencode(params)}" if params else path
        body = None if json is None else dumps(json).encode()
        try:
            reply = await self._caller.ask(method, asked, body, limit_s=TIMEOUT_S)
            answer = loads(reply.body)
        except (OSError, ExchangeError) as error:
            raise BrokerUnavailableError(f"the broker does not answer ({type(error).__name__})") from error
        except ValueError as error:
            raise BrokerUnavailableError(f"the broker answered {reply.status} without JSON") from error
        if 200 <= reply.status < 300 and isinstance(answer, dict):
            return answer
        words = answer.get("errorMessage") if isinstance(answer, dict) else None
        refusal = f"the broker answered {reply.status}: {words or reply.reason}"
        raise (BrokerRefusedError if reply.status in CLEAR_REFUSALS else BrokerUnavailableError)(refusal)
