"""The control port: drive the market by hand, open accounts, arm faults."""

from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .door import Door, Refusal, body_of, utc_now
from .faults import BadFaultError
from .instruments import INSTRUMENTS
from .market import Price, money
from .orders import Rejected, decimal_of, instrument_of, price_of
from .pulse import Pulse

MAXIMUM_NUMBER = 10**12
CURRENCIES = ("USD", "EUR", "GBP", "JPY")


class Control:
    """JSON over HTTP for whoever rehearses; clients of the broker never see it."""

    def __init__(self, door: Door, pulse: Pulse) -> None:
        self.door = door
        self.venue = door.venue
        self.pulse = pulse

    def routes(self) -> list[Route]:
        table = (
            ("GET", "/health", self.health),
            ("POST", "/ticks", self.ticks),
            ("POST", "/feed", self.feed),
            ("POST", "/accounts", self.accounts),
            ("POST", "/accounts/{account_id}/keep", self.keep),
            ("POST", "/accounts/{account_id}/return", self.return_to_kept),
            ("POST", "/liquidity", self.liquidity),
            ("POST", "/financing", self.financing),
            ("POST", "/transfers", self.transfers),
            ("POST", "/faults", self.arm),
            ("GET", "/faults", self.faults),
            ("DELETE", "/faults", self.clear),
            ("DELETE", "/faults/{fault_id}", self.disarm),
        )
        return [Route(path, self.door(endpoint), methods=[method]) for method, path, endpoint in table]

    async def health(self, request: Request) -> Response:
        accounts = {
            a.id: {"balance": a.balance, "lastTransactionID": str(a.last_id)} for a in self.venue.accounts.values()
        }
        return self.door.json(
            request,
            {"status": "ok", "feed": self.pulse.running, "ticks": self.pulse.ticks, "accounts": accounts},
        )

    async def ticks(self, request: Request) -> Response:
        """{instrument, bid, ask} → the price as taken; every order has reacted when this answers."""
        body = await body_of(request)
        try:
            spec = instrument_of(body)
            bid, ask = (price_of(spec, body.get(side)) for side in ("bid", "ask"))
        except Rejected as refused:
            raise Refusal(400, f"{refused.reason}: a tick needs instrument, bid and ask") from refused
        if bid >= ask:
            raise Refusal(400, "The bid must be below the ask")
        price = Price(spec.name, bid, ask, utc_now())
        self.venue.take(price)
        return self.door.json(request, {"instrument": spec.name, "bid": bid, "ask": ask, "time": price.time})

    async def feed(self, request: Request) -> Response:
        """{running: true|false} starts or stops the feed."""
        running = (await body_of(request)).get("running")
        if not isinstance(running, bool):
            raise Refusal(400, "'running' must be true or false")
        self.pulse.running = running
        return self.door.json(request, {"running": running})

    async def accounts(self, request: Request) -> Response:
        """{account_id, balance, currency} → the account, new or started afresh."""
        body = await body_of(request)
        account_id, currency = body.get("account_id"), body.get("currency", "USD")
        if not isinstance(account_id, str) or not 0 < len(account_id) <= 64 or "/" in account_id:
            raise Refusal(400, "'account_id' must be a text like 101-001-0000001-001")
        if currency not in CURRENCIES:
            raise Refusal(400, f"'currency' must be one of {', '.join(CURRENCIES)}")
        balance = positive(body.get("balance", "100000"), "balance")
        account = self.venue.open_account(account_id, currency, money(balance), utc_now())
        shape = {"account_id": account.id, "balance": account.balance, "currency": currency}
        return self.door.json(request, shape | {"lastTransactionID": str(account.last_id)}, 201)

    async def keep(self, request: Request) -> Response:
        """Remember the account as it is now."""
        account = self.venue.keep_account(self.door.account(request).id, utc_now())
        return self.door.json(request, {"account_id": account.id, "lastTransactionID": str(account.last_id)})

    async def return_to_kept(self, request: Request) -> Response:
        """Take the account back to what was remembered."""
        account_id = self.door.account(request).id
        try:
            account = self.venue.return_account(account_id, utc_now())
        except KeyError as error:
            raise Refusal(409, f"Nothing of account {account_id} was kept; POST …/keep first") from error
        return self.door.json(request, {"account_id": account.id, "lastTransactionID": str(account.last_id)})

    async def liquidity(self, request: Request) -> Response:
        """{instrument, units}: the next fill of the instrument deals at most so many units."""
        body = await body_of(request)
        if body.get("instrument") not in INSTRUMENTS:
            raise Refusal(400, f"'instrument' must be one of {', '.join(INSTRUMENTS)}")
        units = positive(body.get("units"), "units", zero=True)
        self.venue.limit_next_fill(body["instrument"], units.quantize(Decimal(1)), utc_now())
        return self.door.json(request, {"instrument": body["instrument"], "units": units})

    async def financing(self, request: Request) -> Response:
        """{account_id?, days?}: book financing on the open trades of one account, or of all."""
        body = await body_of(request)
        days, only = body.get("days", 1), body.get("account_id")
        if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= 7:
            raise Refusal(400, "'days' must be a whole number from 1 to 7")
        if only is not None and only not in self.venue.accounts:
            raise Refusal(404, f"There is no account {str(only)[:64]}")
        booked = self.venue.charge_financing(utc_now(), days=days, only=only)
        return self.door.json(request, {"transactions": booked})

    async def transfers(self, request: Request) -> Response:
        """{account_id, amount}: a deposit, or with a negative amount a withdrawal."""
        body = await body_of(request)
        account = self.venue.accounts.get(str(body.get("account_id")))
        if account is None:
            raise Refusal(404, f"There is no account {str(body.get('account_id'))[:64]}")
        amount = number_of(body.get("amount"), "amount")
        if amount == 0 or account.balance + amount < 0:
            raise Refusal(400, "'amount' must not be zero, and no more than the balance can be withdrawn")
        transaction = self.venue.transfer(account.id, money(amount), utc_now())
        return self.door.json(request, {"transaction": transaction}, 201)

    async def arm(self, request: Request) -> Response:
        try:
            fault = self.venue.faults.arm(await body_of(request))
        except BadFaultError as bad:
            raise Refusal(400, str(bad)) from bad
        return self.door.json(request, fault.shape(), 201)

    async def faults(self, request: Request) -> Response:
        return self.door.json(request, self._faults(self.venue.faults.armed))

    async def clear(self, request: Request) -> Response:
        return self.door.json(request, self._faults(self.venue.faults.clear()))

    async def disarm(self, request: Request) -> Response:
        """Take one fault back; what it was, with how often it has struck."""
        number = request.path_params["fault_id"]
        fault = self.venue.faults.disarm(int(number)) if number.isdigit() and len(number) < 19 else None
        if fault is None:
            raise Refusal(404, f"No fault {number[:20]} is armed")
        return self.door.json(request, fault.shape())

    def _faults(self, listed: list[Any]) -> dict[str, Any]:
        return {"faults": [fault.shape() for fault in listed], "struck": self.venue.faults.struck}


def positive(raw: object, name: str, *, zero: bool = False) -> Decimal:
    """A number above zero (or not below it). Raises Refusal."""
    number = number_of(raw, name)
    if number < 0 or (number == 0 and not zero):
        raise Refusal(400, f"'{name}' must be {'zero or more' if zero else 'above zero'}")
    return number


def number_of(raw: object, name: str) -> Decimal:
    """A number within reason. Raises Refusal."""
    try:
        number = decimal_of(raw, "INVALID")
    except Rejected as refused:
        raise Refusal(400, f"'{name}' must be a number") from refused
    if abs(number) > MAXIMUM_NUMBER:
        raise Refusal(400, f"'{name}' must be at most {MAXIMUM_NUMBER}")
    return number
