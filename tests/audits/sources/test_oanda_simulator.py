"""The reader and the judge of stops against the rehearsal broker: a real process over real sockets."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from audits.broker_books import BrokerBooks
from audits.sources.oanda import BrokerAnswerUnreadable, BrokerRefused, BrokerUnreachable, OandaReader
from audits.stop_records import candles_from, fills_from, orders_from
from audits.stop_windows import NOT_EXECUTED, StopsJudgement, judge_stops, needed_from
from audits.transactions import change_of, number_of
from audits.verdicts import Verdict
from tests.gates.rehearsal.broker.conftest import TOKEN, Broker, running_broker


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with running_broker("--no-feed") as running:
        yield running


def reader(broker: Broker, account_id: str, token: str = TOKEN) -> OandaReader:
    return OandaReader(f"http://127.0.0.1:{broker.port}", account_id, token)


def order(broker: Broker, account_id: str, **fields: Any) -> None:
    wanted = {"type": "MARKET", "instrument": "EUR_USD", "units": "1000"} | fields
    answer = broker.v3.post(f"/accounts/{account_id}/orders", json={"order": wanted})
    assert answer.status_code == 201, answer.text


def test_more_transactions_than_a_page_holds_are_read_whole(broker: Broker) -> None:
    account_id = broker.fresh_account()
    broker.tick("EUR_USD", "1.10000", "1.10010")
    for number in range(520):
        order(broker, account_id, units="10" if number % 2 else "-10")
    with reader(broker, account_id) as books:
        found = books.transactions()
        account = books.account()
        assert [int(record["id"]) for record in found] == list(range(1, int(account["lastTransactionID"]) + 1))
        assert len(found) > 1000
        assert books.transactions(7) == found[7:]
        balances = [record["accountBalance"] for record in found if change_of(record)]
        assert balances[-1] == account["balance"]
        assert {trade["id"] for trade in books.open_trades()} == {trade["id"] for trade in account["trades"]}
        assert books.pricing(["EUR_USD"])[0]["instrument"] == "EUR_USD"


def test_a_reading_that_stopped_goes_on_where_it_was(broker: Broker) -> None:
    account_id = broker.fresh_account()
    broker.tick("EUR_USD", "1.10000", "1.10010")
    for _ in range(3):
        order(broker, account_id)
    with reader(broker, account_id) as books:
        found = books.transactions()
        for _ in range(3):
            order(broker, account_id, units="-1000")
        rest = books.transactions(int(found[-1]["id"]))
        assert [*found, *rest] == books.transactions()
        assert books.transactions(int(rest[-1]["id"])) == []


@pytest.fixture(scope="module")
def busy(broker: Broker) -> str:
    """An account with several thousand transactions: four for each order, and one for each night."""
    account_id = broker.fresh_account()
    broker.tick("EUR_USD", "1.10000", "1.10010")
    stops = {"stopLossOnFill": {"price": "1.00000"}, "takeProfitOnFill": {"price": "1.20000"}}
    for _ in range(700):
        order(broker, account_id, units="1", positionFill="OPEN_ONLY", **stops)
    for _ in range(400):
        broker.control.post("/financing", json={"account_id": account_id}).raise_for_status()
    return account_id


class Watched(OandaReader):
    """A reader that notes when each request leaves, and of what; `cut` may end one."""

    def __init__(self, broker: Broker, account_id: str, cut: Callable[[str], None] = lambda path: None) -> None:
        super().__init__(f"http://127.0.0.1:{broker.port}", account_id, TOKEN)
        self.left: list[float] = []
        self.paths: list[str] = []
        self.cut = cut

    def _get(self, path: str, **params: str) -> dict[str, Any]:
        self.cut(path)
        self.paths.append(path.rsplit("/", 1)[-1])
        return super()._get(path, **params)

    def _opened(self) -> Any:
        self.left.append(time.monotonic())
        return super()._opened()


def test_thousands_of_transactions_come_in_pages_and_tie_with_the_account(broker: Broker, busy: str) -> None:
    with Watched(broker, busy) as books:
        account = books.account()
        read = BrokerBooks.at(account, books)
        assert len(read.transactions) > 3000
        assert read.last_transaction_id == read.transactions[-1]["id"] == account["lastTransactionID"]
        assert [number_of(record) for record in read.transactions] == list(range(1, len(read.transactions) + 1))
        assert books.paths.count("idrange") == -(-len(read.transactions) // 1000)
        assert books.transactions(17) == list(read.transactions[17:])


def test_what_happens_after_the_account_was_read_is_left_to_the_next_reading(broker: Broker, busy: str) -> None:
    with reader(broker, busy) as books:
        account = books.account()
        order(broker, busy, units="1", positionFill="OPEN_ONLY")
        before = BrokerBooks.at(account, books)
        assert before.transactions[-1]["id"] == account["lastTransactionID"]
        later = BrokerBooks.at(books.account(), books, before)
        assert number_of(later.transactions[-1]) == number_of(before.transactions[-1]) + 2
        assert later.transactions[: len(before.transactions)] == before.transactions


def test_a_reading_that_was_cut_between_pages_goes_on_from_its_last_id(broker: Broker, busy: str) -> None:
    def cut_the_third_page(path: str) -> None:
        if path.endswith("idrange") and books.paths.count("idrange") == 2:
            broker.control.post("/faults", json={"kind": "refused", "times": 3}).raise_for_status()

    with reader(broker, busy) as whole:
        everything = whole.transactions()
    kept = everything[:500]
    with Watched(broker, busy, cut_the_third_page) as books:
        with pytest.raises(BrokerUnreachable, match="503"):
            books.transactions()
        books.cut = lambda path: None
        assert [*kept, *books.transactions(number_of(kept[-1]))] == everything


def test_no_more_requests_leave_than_the_broker_allows(broker: Broker, busy: str) -> None:
    with Watched(broker, busy) as books:
        for _ in range(60):
            books.summary()
        sent = books.left
    assert len(sent) == 60
    # 100 requests a second on one connection, in any stretch of twenty; a clock may be a little off.
    assert min(last - first for first, last in zip(sent, sent[19:], strict=False)) > 0.18


def test_an_id_that_the_broker_never_gave_is_named(broker: Broker) -> None:
    with reader(broker, broker.fresh_account()) as books, pytest.raises(BrokerAnswerUnreadable, match="416"):
        books.transactions(1_000_000)


def test_faults_of_the_broker_end_in_their_own_exceptions(broker: Broker) -> None:
    account_id = broker.fresh_account()
    with pytest.raises(BrokerRefused):
        reader(broker, account_id, "another").account()
    broker.control.post("/faults", json={"kind": "html", "times": 1}).raise_for_status()
    with pytest.raises(BrokerAnswerUnreadable, match="no JSON"):
        reader(broker, account_id).account()
    with pytest.raises(BrokerRefused, match="check the token and the account"):
        reader(broker, "101-001-0000001-999").account()


def stops_of(broker: Broker, account_id: str) -> StopsJudgement:
    """Judge everything up to now, with all time limits over."""
    end = datetime.now(UTC) + timedelta(seconds=10)
    start = end - timedelta(minutes=5)
    with reader(broker, account_id) as books:
        records = books.transactions()
        orders = orders_from(records)
        candles = {
            instrument: candles_from(books.candles(instrument, since - timedelta(seconds=5), end))
            for instrument, since in needed_from(orders, start).items()
        }
    seen_until = end + timedelta(minutes=1)
    return judge_stops(orders, candles, fills_from(records), start, end, seen_until=seen_until)


def test_an_executed_stop_of_the_broker_passes(broker: Broker) -> None:
    account_id = broker.fresh_account()
    broker.tick("EUR_USD", "1.10000", "1.10010")
    order(broker, account_id, stopLossOnFill={"price": "1.09900"}, takeProfitOnFill={"price": "1.10500"})
    order(broker, account_id, units="-1000", positionFill="OPEN_ONLY", takeProfitOnFill={"price": "1.09890"})
    broker.tick("EUR_USD", "1.09870", "1.09880")
    judgement = stops_of(broker, account_id)
    assert (judgement.verdict, judgement.reason) == (Verdict.PASSED, "")
    assert sorted(touch.order.kind for touch in judgement.executed) == ["STOP_LOSS_ORDER", "TAKE_PROFIT_ORDER"]
    assert all(latency < 1000 for latency in judgement.latencies_ms)
    assert sorted(judgement.slippages_pips) == [-1, 3]


def test_a_withheld_stop_of_the_broker_is_found(broker: Broker) -> None:
    account_id = broker.fresh_account()
    broker.tick("EUR_USD", "1.10000", "1.10010")
    broker.control.post("/faults", json={"kind": "withhold_stops"}).raise_for_status()
    try:
        order(broker, account_id, stopLossOnFill={"price": "1.09900"})
        next_candle = (time.time() // 5 + 1) * 5
        while time.time() < next_candle:  # the touch must fall into a candle that lies inside the stop's life
            time.sleep(0.02)
        broker.tick("EUR_USD", "1.09800", "1.09810")
        judgement = stops_of(broker, account_id)
    finally:
        broker.control.delete("/faults").raise_for_status()
    assert judgement.verdict is Verdict.FAILED
    assert [finding.rule for finding in judgement.findings] == [NOT_EXECUTED]
