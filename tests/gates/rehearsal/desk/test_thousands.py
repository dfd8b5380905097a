"""Two days of thousands of random operations at the broker, booked by the desk, and its own after them, audit clean.

Broker and desk are the real ones, in one process: a venue that is asked directly, and the desk's follower and trader on
a real database. Time is told, so that stops live for hours; what comes out depends on the seed alone.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from audits.judge import judge
from audits.snapshot import take_snapshot
from audits.sources.postgres import PostgresLedger
from gates.rehearsal.broker.asks import Ask
from gates.rehearsal.broker.instruments import INSTRUMENTS
from gates.rehearsal.broker.market import Price
from gates.rehearsal.broker.serialise import account_json, candle_json, plain
from gates.rehearsal.broker.venue import Venue
from gates.rehearsal.desk.broker import Quote, TransactionPage
from gates.rehearsal.desk.database import Database
from gates.rehearsal.desk.following import Follower
from gates.rehearsal.desk.operations import OPERATIONS
from gates.rehearsal.desk.reconcile import reconcile
from gates.rehearsal.desk.trading import ImpossibleError, Protection, Trader

from .test_random_life import JUDGED, PRICES
from .transactions import ACCOUNT

SEED = 20261126
MANY = 3000  # operations at the broker, within two days
OWN = 60  # operations of the desk, now
MOST_OPEN = 30
BOOKED_EVERY = 40


class Beside:
    """The venue, as the desk's broker and as the audit's: each answer is what the real one would send."""

    account_id = ACCOUNT

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    @property
    def _account(self) -> Any:
        return self.venue.accounts[ACCOUNT]

    async def account(self) -> dict[str, Any]:
        return self.books()

    async def transactions_since(self, cursor: int) -> TransactionPage:
        return TransactionPage(tuple(plain(self._account.transactions[cursor:])), self._account.last_id)

    async def quote(self, instrument: str) -> Quote:
        price = self.venue.market.price(instrument)
        return Quote(price.bid, price.ask)

    async def place(self, order: Mapping[str, Any]) -> dict[str, Any]:
        return dict(plain(self.venue.carry_out(ACCOUNT, Ask("order", "", dict(order)), datetime.now(UTC)).parts))

    async def close_trade(self, trade_id: str, *, units: str) -> dict[str, Any]:
        ask = Ask("close_trade", trade_id, {"units": units})
        return dict(plain(self.venue.carry_out(ACCOUNT, ask, datetime.now(UTC)).parts))

    def books(self) -> dict[str, Any]:
        return dict(plain(account_json(self._account)))


class Audited:
    """The same venue, read by an audit."""

    def __init__(self, beside: Beside) -> None:
        self._beside = beside

    def describe(self) -> str:
        return "a venue of a test"

    def account(self) -> dict[str, Any]:
        return self._beside.books()

    def transactions(self, since_id: int = 0) -> list[dict[str, Any]]:
        return list(plain(self._beside.venue.accounts[ACCOUNT].transactions[since_id:]))

    def time(self, instruments: Any) -> datetime:
        return datetime.now(UTC)

    def candles(self, instrument: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        found = self._beside.venue.candles.of(instrument, "S5")
        asked = [candle for candle in found if start <= candle.time < end]
        return [plain(candle_json(each, "BA", INSTRUMENTS[instrument], complete=True)) for each in asked]


class Market:
    """The dice, the time, and what others do at the broker."""

    def __init__(self, venue: Venue, now: datetime) -> None:
        self.venue, self.now, self.dice = venue, now, random.Random(SEED)
        self.done: Counter[str] = Counter()
        for instrument in PRICES:
            self.quote(instrument, PRICES[instrument][0])

    def quote(self, instrument: str, about: float) -> None:
        digits = PRICES[instrument][1]
        bid = round(Decimal(about), digits)
        self.venue.take(Price(instrument, bid, bid + Decimal(1).scaleb(1 - digits), self.now))

    def step(self) -> None:
        """One operation, some seconds or minutes after the one before."""
        self.now += timedelta(seconds=self.dice.uniform(0.2, 110))
        chance = self.dice.random()
        what = (
            self.tick if chance < 0.5 else self.order if chance < 0.74 else self.close if chance < 0.985 else self.money
        )
        what()

    def tick(self) -> None:
        instrument = self.dice.choice(tuple(PRICES))
        usual, digits = PRICES[instrument]
        moved = float(self.venue.market.price(instrument).bid) + self.dice.gauss(0, 6) * 10.0 ** (1 - digits)
        self.quote(instrument, min(max(moved, usual * 0.97), usual * 1.03))
        self.done["tick"] += 1

    def order(self) -> None:
        if len(self.venue.accounts[ACCOUNT].open) >= MOST_OPEN:
            self.close()
            return
        instrument = self.dice.choice(tuple(PRICES))
        digits, units = PRICES[instrument][1], self.dice.randint(1, 3000) * self.dice.choice((1, -1))
        paid = self.venue.market.price(instrument).dealt(Decimal(units))
        away = (1 if units > 0 else -1) * self.dice.randint(5, 40) * Decimal(1).scaleb(1 - digits)
        body: dict[str, Any] = {"type": "MARKET", "instrument": instrument, "units": str(units)}
        body["positionFill"] = self.dice.choice(("OPEN_ONLY", "DEFAULT", "DEFAULT"))
        if self.dice.random() < 0.3:
            self.venue.limit_next_fill(instrument, Decimal(self.dice.randint(1, 900)), self.now)
            body["timeInForce"] = "IOC"
        for name, price in (("stopLossOnFill", paid - away), ("takeProfitOnFill", paid + away)):
            body[name] = {"price": str(price)}
        self._ask("order", "", body)

    def close(self) -> None:
        trades = list(self.venue.accounts[ACCOUNT].open.values())
        if not trades:
            self.order()
            return
        trade = self.dice.choice(trades)
        half = abs(trade.units) // 2
        if self.dice.random() < 0.05:
            side = "longUnits" if trade.units > 0 else "shortUnits"
            self._ask("close_position", trade.instrument, {side: "ALL"})
            return
        units = str(half) if half and self.dice.random() < 0.5 else "ALL"
        self._ask("close_trade", str(trade.id), {"units": units})

    def money(self) -> None:
        if self.dice.random() < 0.5:
            self.venue.charge_financing(self.now)
        else:
            self.venue.transfer(ACCOUNT, Decimal(self.dice.choice((50, -50))), self.now)
        self.done["money"] += 1

    def _ask(self, name: str, specifier: str, body: dict[str, Any]) -> None:
        self.venue.carry_out(ACCOUNT, Ask(name, specifier, body), self.now)
        self.done[name] += 1


async def lived(market: Market, beside: Beside, url: str) -> None:
    """The others' two days, then the desk's own hour in a minute; every so often the books are compared."""
    database = Database(url)
    follower = Follower(database, beside)  # type: ignore[arg-type]
    trader = Trader(follower, Protection(Decimal(15), Decimal(15)))
    await follower.begin()
    for number in range(MANY):
        market.step()
        if number % BOOKED_EVERY == 0:
            await follower.catch_up()
        if number % (10 * BOOKED_EVERY) == 0:
            assert (await reconcile(follower)).mismatches == ()
    await follower.catch_up()
    for _ in range(OWN):
        market.now = datetime.now(UTC)
        market.tick()
        operation = market.dice.choice(tuple(OPERATIONS))
        ask = {"units": str(market.dice.randint(1, 900)), "instrument": market.dice.choice(tuple(PRICES))}
        try:
            await OPERATIONS[operation](trader, ask if operation == "open" else {})
            market.done[f"desk: {operation}"] += 1
        except ImpossibleError:
            market.done["desk: impossible"] += 1
    assert (await reconcile(follower)).mismatches == ()
    await follower.value_account()
    await database.close()


def test_thousands_of_random_operations_audit_clean(desk_database_url, tmp_path, record_property):
    now = datetime.now(UTC) - timedelta(days=2)
    venue = Venue(commission_per_million=Decimal(30))
    market = Market(venue, now)
    venue.open_account(ACCOUNT, "USD", Decimal(100_000), now)
    beside = Beside(venue)
    asyncio.run(lived(market, beside, desk_database_url))
    take_snapshot(PostgresLedger(desk_database_url), Audited(beside), tmp_path / "one", with_prices=True)
    judged = {result.name: result for result in judge(tmp_path / "one", JUDGED).results}
    not_passed = {
        name: (result.outcome, result.reason, [finding.sentence for finding in result.findings[:3]])
        for name, result in judged.items()
        if result.outcome != "passed"
    }
    assert not_passed == {}, f"seed {SEED}"
    record_property("done", dict(market.done))
    assert market.done.total() >= MANY + OWN
    assert {f"desk: {name}" for name in OPERATIONS} <= set(market.done)
    looked = next(note for note in judged["stops"].notes if "looked at in" in note)
    assert "0 touched" not in looked
