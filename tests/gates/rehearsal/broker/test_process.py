"""The broker as a process: tokens, faults, stops and signals over real sockets."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from gates.rehearsal.broker.pulse import is_financing_due

from .conftest import Broker, running_broker

BUY = {"type": "MARKET", "instrument": "EUR_USD", "units": "1000", "timeInForce": "FOK"}


def buy(broker: Broker, account: str, **more: object) -> httpx.Response:
    return broker.v3.post(f"/accounts/{account}/orders", json={"order": {**BUY, **more}})


def test_a_market_order_with_protections_is_one_batch(broker: Broker) -> None:
    account = broker.fresh_account()
    answer = buy(broker, account, stopLossOnFill={"distance": "0.0004"}, takeProfitOnFill={"price": "1.10100"}).json()
    assert answer["orderFillTransaction"]["price"] == "1.10006"
    assert answer["relatedTransactionIDs"] == ["4", "5", "6", "7"]
    trade = broker.v3.get(f"/accounts/{account}/openTrades").json()["trades"][0]
    assert trade["stopLossOrder"]["price"] == "1.09966"
    assert trade["takeProfitOrder"]["price"] == "1.10100"


def test_a_stop_loss_of_a_long_trade_is_triggered_by_the_bid(broker: Broker) -> None:
    account = broker.fresh_account()
    buy(broker, account, stopLossOnFill={"price": "1.09900"})
    broker.tick("EUR_USD", "1.09901", "1.09913")
    assert len(broker.v3.get(f"/accounts/{account}/openTrades").json()["trades"]) == 1
    broker.tick("EUR_USD", "1.09895", "1.09907")
    assert broker.v3.get(f"/accounts/{account}/openTrades").json()["trades"] == []
    fill = broker.v3.get(f"/accounts/{account}/transactions/sinceid?id=6").json()["transactions"][0]
    assert (fill["type"], fill["reason"], fill["pl"]) == ("ORDER_FILL", "STOP_LOSS_ORDER", "-1.1100")
    assert fill["accountBalance"] == "99998.8900"
    assert fill["fullPrice"]["closeoutBid"] == "1.09895"


def test_withheld_stops_stay_pending_until_the_fault_is_cleared(broker: Broker) -> None:
    account = broker.fresh_account()
    buy(broker, account, stopLossOnFill={"price": "1.09900"})
    broker.control.post("/faults", json={"kind": "withhold_stops"})
    broker.tick("EUR_USD", "1.09800", "1.09812")
    assert len(broker.v3.get(f"/accounts/{account}/openTrades").json()["trades"]) == 1
    broker.control.delete("/faults")
    broker.tick("EUR_USD", "1.09800", "1.09812")
    assert broker.v3.get(f"/accounts/{account}/openTrades").json()["trades"] == []


def test_accepted_not_answered_resets_the_connection_after_the_fill(broker: Broker) -> None:
    account = broker.fresh_account()
    broker.control.post("/faults", json={"kind": "accepted_not_answered", "times": 1})
    with pytest.raises(httpx.TransportError):
        buy(broker, account)
    assert len(broker.v3.get(f"/accounts/{account}/openTrades").json()["trades"]) == 1
    assert broker.control.get("/faults").json()["struck"]["accepted_not_answered"] == 1


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"kind": "refused", "status": 503}, 503),
        ({"kind": "unauthorised"}, 401),
        ({"kind": "html", "status": 502}, 502),
    ],
)
def test_a_refused_order_is_not_carried_out(broker: Broker, fault: dict[str, object], status: int) -> None:
    account = broker.fresh_account()
    broker.control.post("/faults", json={**fault, "times": 1})
    assert buy(broker, account).status_code == status
    assert broker.v3.get(f"/accounts/{account}/openTrades").json()["trades"] == []


def test_a_late_answer_is_late(broker: Broker) -> None:
    account = broker.fresh_account()
    broker.control.post("/faults", json={"kind": "late", "delay_ms": 300, "times": 1})
    began = time.monotonic()
    assert buy(broker, account).status_code == 201
    assert time.monotonic() - began >= 0.299, "to the millisecond of the loop's timer"


def test_both_ports_want_the_token(broker: Broker) -> None:
    for port, path in ((broker.port, "/v3/accounts"), (broker.control_port, "/health")):
        answer = httpx.get(f"http://127.0.0.1:{port}{path}", headers={"Authorization": "Bearer wrong"})
        assert answer.status_code == 401


def test_sigterm_ends_the_broker_within_two_seconds() -> None:
    with running_broker("--tick-ms", "50") as broker:
        broker.process.terminate()
        assert broker.process.wait(2) == 0


def test_a_stale_lookup_does_not_yet_see_a_new_trade(broker: Broker) -> None:
    account = broker.fresh_account()
    trade = buy(broker, account).json()["orderFillTransaction"]["tradeOpened"]["tradeID"]
    broker.control.post("/faults", json={"kind": "stale_lookup", "age_ms": 60_000})
    assert broker.v3.get(f"/accounts/{account}/trades/{trade}").json()["errorCode"] == "NO_SUCH_TRADE"
    assert broker.v3.get(f"/accounts/{account}/openTrades").json()["trades"] == []
    broker.control.delete("/faults")
    assert broker.v3.get(f"/accounts/{account}/trades/{trade}").json()["trade"]["id"] == trade


def test_a_look_up_that_hides_much_is_one_stale_lookup_and_the_first_is_named(broker: Broker) -> None:
    account = broker.fresh_account()
    buy(broker, account)
    buy(broker, account)
    broker.control.post("/faults", json={"kind": "stale_lookup", "age_ms": 60_000})
    assert broker.v3.get(f"/accounts/{account}/openTrades").json()["trades"] == []
    assert broker.v3.get(f"/accounts/{account}/trades").json()["trades"] == []
    (struck,) = broker.control.delete("/faults").json()["faults"]
    assert (struck["struck"], struck["first"]) == (2, f"GET /v3/accounts/{account}/openTrades")


def test_a_stale_lookup_sees_a_history_that_ends_before_the_new_order(broker: Broker) -> None:
    account = broker.fresh_account()
    before = broker.v3.get(f"/accounts/{account}/summary").json()["lastTransactionID"]
    buy(broker, account)
    broker.control.post("/faults", json={"kind": "stale_lookup", "age_ms": 60_000})
    stale = broker.v3.get(f"/accounts/{account}/transactions/sinceid", params={"id": before}).json()
    assert (stale["transactions"], stale["lastTransactionID"]) == ([], "0")  # the deposit is young too
    assert broker.v3.get(f"/accounts/{account}/transactions/1").status_code == 404
    (struck,) = broker.control.delete("/faults").json()["faults"]
    assert struck["struck"] == 2
    seen = broker.v3.get(f"/accounts/{account}/transactions/sinceid", params={"id": before}).json()
    assert [each["type"] for each in seen["transactions"]][:2] == ["MARKET_ORDER", "ORDER_FILL"]
    assert seen["lastTransactionID"] == seen["transactions"][-1]["id"]


def test_a_fault_strikes_only_the_requests_it_names(broker: Broker) -> None:
    account = broker.fresh_account()
    broker.control.post("/faults", json={"kind": "refused", "method": "POST", "path": "/orders", "times": 1})
    assert broker.v3.get(f"/accounts/{account}/summary").status_code == 200
    assert buy(broker, account).status_code == 503
    assert buy(broker, account).status_code == 201


def test_a_withheld_stop_is_counted_once(broker: Broker) -> None:
    account = broker.fresh_account()
    buy(broker, account, stopLossOnFill={"price": "1.09900"})
    struck = broker.control.get("/faults").json()["struck"].get("withhold_stops", 0)
    broker.control.post("/faults", json={"kind": "withhold_stops"})
    for bid, ask in (("1.09800", "1.09812"), ("1.09790", "1.09802")):
        broker.tick("EUR_USD", bid, ask)
    assert broker.control.get("/faults").json()["struck"]["withhold_stops"] == struck + 1


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("/faults", {"kind": "fire"}, "Unknown fault kind"),
        ("/faults", {"kind": "late", "delay_ms": -1}, "delay_ms"),
        ("/ticks", {"instrument": "EUR_USD", "bid": "1.2", "ask": "1.1"}, "below the ask"),
        ("/ticks", {"instrument": "EUR_USD", "bid": "1.2"}, "PRICE_INVALID"),
        ("/feed", {"running": "yes"}, "true or false"),
        ("/accounts", {"account_id": "a/b"}, "account_id"),
        ("/accounts", {"account_id": "a", "balance": "lots"}, "must be a number"),
        ("/liquidity", {"instrument": "EUR_USD", "units": -1}, "zero or more"),
        ("/financing", {"days": 99}, "days"),
        ("/transfers", {"account_id": "nobody", "amount": "1"}, "no account"),
    ],
)
def test_a_bad_control_request_is_refused_in_one_sentence(
    broker: Broker, path: str, body: dict[str, object], word: str
) -> None:
    answer = broker.control.post(path, json=body)
    assert answer.status_code in (400, 404)
    assert word in answer.json()["errorMessage"]


def test_a_deposit_and_a_night_move_the_balance(broker: Broker) -> None:
    account = broker.fresh_account()
    buy(broker, account)
    broker.control.post("/transfers", json={"account_id": account, "amount": "250.5"})
    booked = broker.control.post("/financing", json={"account_id": account}).json()["transactions"]
    assert [line["type"] for line in booked] == ["DAILY_FINANCING"]
    summary = broker.v3.get(f"/accounts/{account}/summary").json()["account"]
    assert summary["balance"] == booked[0]["accountBalance"] == "100250.4367"


def test_a_killed_broker_goes_on_where_its_journal_ends(tmp_path: Path) -> None:
    def books(broker: Broker, account: str) -> list[object]:
        paths = ("/transactions/sinceid?id=0", "", "/orders?state=ALL")
        candles = broker.v3.get("/instruments/EUR_USD/candles?price=MBA").json()["candles"]
        for candle in candles:
            del candle["complete"]  # the clock goes on
        return [candles, *(broker.v3.get(f"/accounts/{account}{path}").json() for path in paths)]

    options = ("--no-feed", "--journal", str(tmp_path), "--commission-per-million", "30")
    with running_broker(*options) as broker:
        account = broker.fresh_account()
        buy(broker, account, trailingStopLossOnFill={"distance": "0.00100"})
        broker.tick("EUR_USD", "1.10100", "1.10112")
        buy(broker, account, stopLossOnFill={"price": "1.09000"})
        assert broker.v3.put(f"/accounts/{account}/trades/999/close").status_code == 404
        broker.control.post("/financing")
        before = books(broker, account)
        broker.process.kill()
        broker.process.wait(5)
    with (tmp_path / "journal.jsonl").open("a") as journal:
        journal.write('{"do":"half a li')
    for _ in range(2):
        with running_broker(*options) as broker:
            assert books(broker, account) == before


def test_a_journal_belongs_to_one_broker_at_a_time(tmp_path: Path) -> None:
    with running_broker("--journal", str(tmp_path)):
        command = [sys.executable, "-m", "gates.rehearsal.broker", "--port", "0", "--control-port", "0"]
        command += ["--journal", str(tmp_path)]
        environment = {**os.environ, "BROKER_TOKEN": "t"}
        second = subprocess.run(command, env=environment, capture_output=True, timeout=20, text=True, check=False)
    assert second.returncode == 2
    assert "journal" in second.stderr


def test_the_feed_can_be_stopped_and_started() -> None:
    with running_broker("--tick-ms", "20") as broker:
        broker.control.post("/feed", json={"running": False})
        still = broker.control.get("/health").json()["ticks"]
        assert broker.control.get("/health").json()["ticks"] == still
        broker.control.post("/feed", json={"running": True})
        until = time.monotonic() + 5
        while broker.control.get("/health").json()["ticks"] <= still:
            assert time.monotonic() < until


def test_a_taken_port_and_a_missing_token_are_one_sentence_and_exit_2(broker: Broker) -> None:
    command = [sys.executable, "-m", "gates.rehearsal.broker", "--port", str(broker.port), "--control-port", "0"]
    taken = subprocess.run(
        command, env={**os.environ, "BROKER_TOKEN": "t"}, capture_output=True, timeout=20, text=True, check=False
    )
    assert (taken.returncode, taken.stderr.count("\n")) == (2, 1)
    assert "choose free ports" in taken.stderr
    bare = {name: value for name, value in os.environ.items() if name != "BROKER_TOKEN"}
    assert subprocess.run(command, env=bare, capture_output=True, timeout=20, check=False).returncode == 2


def test_financing_is_due_once_at_the_beginning_of_its_hour() -> None:
    before, at = datetime(2026, 1, 5, 20, 59, 59, tzinfo=UTC), datetime(2026, 1, 5, 21, tzinfo=UTC)
    assert is_financing_due(21, before, at)
    assert not is_financing_due(21, at, at + timedelta(seconds=1))
    assert not is_financing_due(None, before, at)


def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_first_half(broker: Broker) -> None:
    def seconds() -> float:
        began = time.perf_counter()
        broker.v3.get("/accounts")
        return time.perf_counter() - began

    assert min(seconds() for _ in range(20)) < 0.03
