"""Streams of a real broker process: lines left out, fills withheld, the broker killed and back, lines that are none."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from audits.sources import BrokerError
from gates.alerts.rules.observed import StopSeen
from gates.streams.following import PRICES, TRANSACTIONS, Follower, _Tape, stream_host
from gates.streams.lines import Heartbeat, Quote
from gates.streams.stopwatch import Stopwatch
from gates.streams.telling import MISSED_TRIGGER, Watched
from gates.streams.writing import Cut, Happened, Pen
from tests.gates.rehearsal.broker.conftest import TOKEN, Broker, running_broker

LIMIT_S = 20.0
TOUCHED_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def broker():
    with running_broker("--no-feed") as running:
        yield running


def place(broker: Broker, account: str, **fields: Any) -> None:
    wanted = {"type": "MARKET", "instrument": "EUR_USD", "units": "1000"} | fields
    broker.v3.post(f"/accounts/{account}/orders", json={"order": wanted}).raise_for_status()


def watching(broker: Broker, account: str, steps: Callable[[Follower], Any], **options: Any) -> Follower:
    """Follow the account while the steps are taken, which are given the follower and may be awaited."""
    watched = Watched(1, f"http://127.0.0.1:{broker.port}", account, TOKEN, limit_s=0.5)
    follower = Follower(watched, Pen(), **options)

    async def play() -> None:
        task = asyncio.create_task(follower.follow())
        try:
            await until(lambda: follower.standings[TRANSACTIONS].state == "connected")
            await steps(follower)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(play())
    return follower


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not true():
            await asyncio.sleep(0.02)


def written(follower: Follower) -> list[Happened | Cut]:
    return [follower.pen.waiting.get_nowait() for _ in range(follower.pen.waiting.qsize())]


def last_id(broker: Broker, account: str) -> int:
    return int(broker.v3.get(f"/accounts/{account}/summary").json()["lastTransactionID"])


def test_a_line_dropped_while_heartbeats_go_on_is_found_and_read_again(broker):
    account = broker.fresh_account()
    broker.tick("EUR_USD", "1.1000", "1.1002")

    async def steps(follower):
        broker.control.post("/faults", json={"kind": "missing_line", "times": 50}).raise_for_status()
        place(broker, account, stopLossOnFill={"price": "1.0900"})
        await until(lambda: follower.standings[TRANSACTIONS].last_id == last_id(broker, account))
        broker.control.delete("/faults")

    follower = watching(broker, account, steps)
    (cut,) = [event for event in written(follower) if isinstance(event, Cut)]
    assert cut.repaired
    assert cut.last_id == last_id(broker, account)
    assert "read again by sinceid" in cut.sentence


def test_a_stop_that_the_market_touched_and_the_broker_withholds_is_an_alert_and_a_filled_one_is_none(broker):
    account = broker.fresh_account()
    broker.tick("EUR_USD", "1.1000", "1.1002")
    place(broker, account, stopLossOnFill={"price": "1.0990"})
    place(broker, account, stopLossOnFill={"price": "1.0980"})

    async def steps(follower):
        await until(lambda: follower.standings[PRICES].state == "connected")
        broker.tick("EUR_USD", "1.0990", "1.0992")
        await until(lambda: follower.standings[TRANSACTIONS].last_id == last_id(broker, account))
        broker.control.post("/faults", json={"kind": "withhold_stops"}).raise_for_status()
        broker.tick("EUR_USD", "1.0979", "1.0981")
        await until(follower.pen.waiting.qsize)
        broker.control.delete("/faults")

    follower = watching(broker, account, steps)
    (alert,) = written(follower)
    assert (alert.rule, alert.level) == (MISSED_TRIGGER, "critical")
    assert "at 1.0980" in alert.sentence.replace("1.09800", "1.0980")


class Unanswered(Follower):
    """Follows an account whose broker no longer answers what is asked."""

    async def read_since(self, last_id: int) -> list[dict[str, Any]]:
        raise BrokerError("The broker answered 503.")


def test_a_stop_is_not_called_missed_before_it_is_known_that_no_fill_came_and_then_without_the_account():
    over = TOUCHED_AT + timedelta(seconds=2)

    async def play():
        follower = Unanswered(Watched(1, "http://127.0.0.1:1", "A", TOKEN, limit_s=2.0), Pen())
        tape = touched_stop(follower)
        task = asyncio.create_task(tape._look())
        try:
            await until(lambda: "503" in follower.standings[TRANSACTIONS].reason)
            await tape._take(Heartbeat(over - timedelta(seconds=0.1), 7))
            follower.executed.append(StopSeen("9", "Another stop was touched", over, 20.0))
            assert follower.stops(over) == (), "another one is no clean look meanwhile"
            assert follower.pen.waiting.empty()
            await tape._take(Heartbeat(over, 7))
            await until(follower.pen.waiting.qsize)
            assert [stop.order_id for stop in follower.stops(over)] == ["6"]
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return follower

    (alert,) = written(asyncio.run(play()))
    assert (alert.rule, alert.event_at) == (MISSED_TRIGGER, over)


def test_a_stop_that_may_have_been_touched_unseen_is_late_where_it_surely_was_and_never_in_time():
    fill = {"type": "ORDER_FILL", "id": "8", "orderID": "6", "reason": "STOP_LOSS_ORDER", "instrument": "EUR_USD"}
    told = []
    for after_s in (0.05, 1.0):
        follower = Follower(Watched(1, "http://127.0.0.1:1", "A", TOKEN, limit_s=2.0), Pen())
        tape = touched_stop(follower)
        tape._learn(fill | {"time": (TOUCHED_AT + timedelta(seconds=after_s)).isoformat()})
        assert not follower.executed
        told += [event.sentence for event in written(follower)]
    (sentence,) = told
    assert "executed at least 1000 ms later" in sentence


def touched_stop(follower: Follower) -> _Tape:
    """A connected account whose one stop was beyond the first price that was seen of it, and whose time is over."""
    order = {"id": "6", "type": "STOP_LOSS", "tradeID": "5", "price": "1.0950", "createTime": TOUCHED_AT.isoformat()}
    trade = {"id": "5", "instrument": "EUR_USD", "currentUnits": "1000"}
    account = {"lastTransactionID": "7", "trades": [trade], "orders": [order]}
    follower.stopwatch = Stopwatch(limit_s=2.0)
    follower.stopwatch.begin(account)
    follower.stopwatch.quote(Quote(TOUCHED_AT, "EUR_USD", Decimal("1.0945"), Decimal("1.0947")), time.monotonic() - 100)
    for standing in follower.standings.values():
        standing.state = "connected"
    return _Tape(follower, follower.stopwatch, account)


def test_a_duplicate_line_is_counted_and_taken_once(broker):
    account = broker.fresh_account()

    async def steps(follower):
        broker.control.post("/faults", json={"kind": "duplicate_line", "times": 2}).raise_for_status()
        place(broker, account)
        await until(lambda: follower.standings[TRANSACTIONS].repeated == 2)

    follower = watching(broker, account, steps)
    assert written(follower) == []


def test_a_broker_that_is_killed_and_comes_back_is_followed_again_and_the_time_between_is_a_gap(tmp_path):
    with running_broker("--no-feed", "--journal", str(tmp_path / "journal")) as first:
        account = first.fresh_account()
        place(first, account, stopLossOnFill={"price": "1.0500"})
        ports = first.port, first.control_port

        async def steps(follower):
            await until(lambda: follower.standings[PRICES].state == "connected")
            first.process.kill()
            first.process.wait(10)
            await until(lambda: follower.standings[PRICES].state == "waiting")
            await asyncio.sleep(1.1)  # a gap shorter than a second is not one
            with running_broker("--no-feed", "--journal", str(tmp_path / "journal"), ports=ports) as again:
                place(again, account)
                await until(lambda: follower.standings[PRICES].state == "connected")
                await until(lambda: follower.standings[TRANSACTIONS].last_id == last_id(again, account))

        follower = watching(first, account, steps)
    gaps = {event.kind: event for event in written(follower)}
    assert not gaps[PRICES].repaired
    assert gaps[TRANSACTIONS].repaired


def test_lines_that_are_none_are_counted_shown_and_do_not_end_the_stream():
    async def stand_in(reader, writer):
        """A broker that says nonsense between two good lines; the account comes from a fixed answer."""
        request = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
        if request.endswith("/transactions/stream"):
            for line in (b"<b>not json", b'{"type":"HEARTBEAT","time":"2026-03-01T12:00:00Z","lastTransactionID":"3"}'):
                writer.write(line + b"\n")
            await writer.drain()
            await asyncio.sleep(LIMIT_S)
        elif "pricing" not in request:
            writer.write(b'{"account":{"lastTransactionID":"3"},"transactions":[],"lastTransactionID":"3"}')
        await writer.drain()
        writer.close()

    async def play():
        server = await asyncio.start_server(stand_in, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        follower = Follower(Watched(1, f"http://127.0.0.1:{port}", "A", TOKEN, 1.0), Pen())
        task = asyncio.create_task(follower.follow())
        await until(lambda: follower.standings[TRANSACTIONS].lines == 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        server.close()
        return follower.standings[TRANSACTIONS]

    standing = asyncio.run(play())
    assert (standing.state, standing.unreadable) == ("connected", 1)
    assert "<b>not json" in standing.reason


def test_oandas_streams_are_on_hosts_of_their_own():
    assert stream_host("https://api-fxpractice.oanda.com/v3") == "https://stream-fxpractice.oanda.com"
    assert stream_host("http://127.0.0.1:9") == "http://127.0.0.1:9"
