"""The broker, read over OANDA's v20 REST interface, through a door that can only ask (`audits.sources.get_only`).

BrokerError
├── BrokerUnreachable        no answer, or 429/5xx, after the retries
├── BrokerRefused            401 or 403: the token or its rights
├── BrokerAnswerUnreadable   an answer that is not what the interface promises
├── BrokerWriteRefused       something other than a GET was about to be sent; nothing was
└── TokenUnusable            the token cannot be sent as it is
"""

import json
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import httpx

from audits.sources import BrokerError
from audits.sources.get_only import Answered, GetOnly
from audits.transactions import TransactionUnreadable, moment_of, number_of

Answer = dict[str, Any]

PAGE_TRANSACTIONS = 1000  # the most that one idrange request returns
PAGE_CANDLES = 5000  # the most that one candles request returns
MAX_PAGES = 2000  # two million transactions: beyond that an account is not read in one go
MAX_ANSWER_BYTES = 64 * 1024 * 1024
REQUEST_PAUSE_S = 0.01  # the broker asks for at most 100 requests a second on one connection
RETRY_PAUSE_S = 0.5  # and for at most two new connections a second
GRANULARITY_S = {"S5": 5, "S10": 10, "S15": 15, "S30": 30, "M1": 60, "M5": 300, "M15": 900, "H1": 3600}
_RETRIED = frozenset({429, 500, 502, 503, 504})


class BrokerUnreachable(BrokerError):  # noqa: N818  reads as what is wrong
    """No usable answer came within the retries."""


class BrokerRefused(BrokerError):  # noqa: N818  reads as what is wrong
    """The broker does not accept the token, or the token may not read this account."""


class BrokerAnswerUnreadable(BrokerError):  # noqa: N818  reads as what is wrong
    """The answer is not JSON, or not what the interface promises."""


class OandaReader:
    """Reads one account. `url` is the host without /v3; answers keep numbers as the strings the broker sent.

    `timeout_s` bounds one request, `attempts` how often it is tried; between two tries it waits 0.5 s, 1 s, …. It
    keeps to the broker's recommended rates by itself.
    Safe on a live account: nothing but GET can be sent.
    """

    def __init__(self, url: str, account_id: str, token: str, *, timeout_s: float = 5.0, attempts: int = 3) -> None:
        self._url = url.rstrip("/").removesuffix("/v3")
        self._account_id = account_id
        self._attempts = max(1, attempts)
        self._next_at = 0.0
        self._timeout_s = timeout_s
        self._token = token
        self._door: GetOnly | None = None
        self.answered_at: datetime | None = None  # by the Date of the newest answer, to the second

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._door is not None:
            self._door.close()

    def __repr__(self) -> str:
        return f"<OandaReader of {self.describe()}>"

    def describe(self) -> str:
        """Return the host and the account, without the token."""
        return f"{self._url} account {self._account_id}"

    def account(self) -> Answer:
        """Return the account in full: balance, NAV, marginUsed, trades, orders, lastTransactionID, of one moment."""
        return self._part(self._get(self._path("")), "account", dict)

    def summary(self) -> Answer:
        """Return the account without its trades and orders."""
        return self._part(self._get(self._path("/summary")), "account", dict)

    def accounts(self) -> list[Answer]:
        """Return every account that the token may read, each with its id."""
        return self._part(self._get("/v3/accounts"), "accounts", list)

    def open_trades(self) -> list[Answer]:
        """Return all open trades."""
        return self._part(self._get(self._path("/openTrades")), "trades", list)

    def pricing(self, instruments: Iterable[str]) -> list[Answer]:
        """Return the current prices of the instruments."""
        answer = self._get(self._path("/pricing"), instruments=",".join(instruments))
        return self._part(answer, "prices", list)

    def time(self, instruments: Iterable[str]) -> datetime:
        """Return the broker's own clock, as it tells it with prices."""
        return self._moment(self._get(self._path("/pricing"), instruments=",".join(instruments)).get("time"))

    def transactions(self, since_id: int = 0) -> list[Answer]:
        """Return all transactions after `since_id` in order; raises BrokerAnswerUnreadable where one is missing.

        One sinceid request says how far the account has come; what it left out is read by idrange pages.
        """
        found: list[Answer] = []
        if since_id > 0:
            answer = self._get(self._path("/transactions/sinceid"), id=str(since_id))
            found = self._part(answer, "transactions", list)
            last = self._number(answer.get("lastTransactionID"))
        else:
            last = self._number(self.summary().get("lastTransactionID"))
        # Pages start after what came without a hole; a hole inside it is found below.
        start = self._id(found[-1]) + 1 if found else since_id + 1
        for page, first in enumerate(range(start, last + 1, PAGE_TRANSACTIONS)):
            if page >= MAX_PAGES:
                raise BrokerAnswerUnreadable(f"More than {MAX_PAGES * PAGE_TRANSACTIONS} transactions to read.")
            until = min(first + PAGE_TRANSACTIONS - 1, last)
            answer = self._get(self._path("/transactions/idrange"), **{"from": str(first), "to": str(until)})
            found += self._part(answer, "transactions", list)
        self._demand_gapless(found, since_id, last)
        return found

    def candles(self, instrument: str, start: datetime, end: datetime, granularity: str = "S5") -> list[Answer]:
        """Return the bid and ask candles that start within [start, end), oldest first, each once."""
        step = timedelta(seconds=GRANULARITY_S[granularity])
        found: dict[str, Answer] = {}
        for first, until in _pages(start, end, step * (PAGE_CANDLES - 1)):
            answer = self._get(
                f"/v3/instruments/{instrument}/candles",
                price="BA",
                granularity=granularity,
                **{"from": _rfc3339(first), "to": _rfc3339(until)},
            )
            for candle in self._part(answer, "candles", list):
                opened = self._moment(candle.get("time"))
                if start <= opened < end:
                    found[opened.isoformat()] = candle
        return [found[opened] for opened in sorted(found)]

    def _path(self, rest: str) -> str:
        return f"/v3/accounts/{self._account_id}{rest}"

    def _get(self, path: str, **params: str) -> Answer:
        """Send one GET, again after a refused connection, a timeout, 429 or 5xx; every other answer is final."""
        why = ""
        for attempt in range(self._attempts):
            if attempt:
                time.sleep(RETRY_PAUSE_S * 2 ** (attempt - 1))
            self._keep_pace()
            try:
                response = self._opened().get(self._url + path, params)
            except httpx.TransportError as error:
                why = str(error) or type(error).__name__
                continue
            except (httpx.InvalidURL, httpx.HTTPError, ValueError) as error:
                raise BrokerUnreachable(f"The broker's address {self._url} cannot be used: {error}.") from error
            if response.status not in _RETRIED:
                return self._read(path, response)
            why = f"it answered {response.status}"
        raise BrokerUnreachable(
            f"The broker at {self._url} gave no usable answer to GET {path} in {self._attempts} tries: {why}."
        )

    def _opened(self) -> GetOnly:
        """The door, opened when it is first needed: an address that is none is said as every other trouble is."""
        if self._door is None:
            self._door = GetOnly(self._url, self._token, timeout_s=self._timeout_s)
        return self._door

    def _keep_pace(self) -> None:
        now = time.monotonic()
        if now < self._next_at:
            time.sleep(self._next_at - now)
        self._next_at = max(now, self._next_at) + REQUEST_PAUSE_S

    def _read(self, path: str, response: Answered) -> Answer:
        status = response.status
        self.answered_at = _dated(response.date)
        if status in (401, 403):
            raise BrokerRefused(
                f"The broker at {self._url} refused GET {path} with {status}: check the token and the account."
            )
        if len(response.content) > MAX_ANSWER_BYTES:
            raise BrokerAnswerUnreadable(f"The broker's answer to GET {path} is larger than 64 MiB.")
        try:
            answer = json.loads(response.content, parse_float=Decimal)
        except ValueError as error:
            raise BrokerAnswerUnreadable(
                f"The broker at {self._url} answered GET {path} with {status} and no JSON ({response.content_type}): "
                "is the address right?"
            ) from error
        if status != 200 or not isinstance(answer, dict):
            message = answer.get("errorMessage", "no reason") if isinstance(answer, dict) else "no JSON object"
            raise BrokerAnswerUnreadable(f"The broker answered GET {path} with {status}: {message}.")
        return answer

    def _part[T](self, answer: Answer, name: str, shape: type[T]) -> T:
        part = answer.get(name)
        if not isinstance(part, shape):
            raise BrokerAnswerUnreadable(f"The broker's answer has no {name}, which the v20 interface promises.")
        return part

    def _demand_gapless(self, found: list[Answer], since_id: int, last: int) -> None:
        """The first id follows `since_id` (any first id is good in a whole history), each next rises by one."""
        expected = since_id + 1 if since_id > 0 or not found else self._id(found[0])
        for transaction in found:
            number = self._id(transaction)
            if number != expected:
                raise BrokerAnswerUnreadable(
                    f"The broker's transactions are not whole: id {expected} should come next, {number} came."
                )
            expected += 1
        if expected <= last:
            raise BrokerAnswerUnreadable(
                f"The broker's transactions are not whole: they end before id {expected}, the last is {last}."
            )

    def _number(self, value: Any) -> int:
        return self._id({"id": value})

    def _id(self, record: Any) -> int:
        try:
            return number_of(record)
        except (TransactionUnreadable, AttributeError) as error:
            raise BrokerAnswerUnreadable(f"The broker sent a transaction without a usable id: {error}") from error

    def _moment(self, value: Any) -> datetime:
        try:
            return moment_of(str(value))
        except TransactionUnreadable as error:
            raise BrokerAnswerUnreadable(f"The broker sent a candle without a usable time: {error}") from error


def _pages(start: datetime, end: datetime, length: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """Cut [start, end) into pieces of at most `length`; raises BrokerAnswerUnreadable beyond MAX_PAGES pieces."""
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError("Candles need a start and an end with a time zone.")
    first = start
    for _ in range(MAX_PAGES):
        if first >= end:
            return
        yield first, min(first + length, end)
        first += length
    raise BrokerAnswerUnreadable(f"The candles asked for need more than {MAX_PAGES} requests.")


def _dated(text: str) -> datetime | None:
    """Read a Date header (RFC 9110, section 6.6.1); None where there is none that can be read."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return moment if moment.tzinfo else None


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
