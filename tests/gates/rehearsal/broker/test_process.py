"""The broker as a process: tokens, faults, stops and signals over real sockets."""

import time

import httpx
import pytest

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
    assert time.monotonic() - began >= 0.3


def test_both_ports_want_the_token(broker: Broker) -> None:
    for port, path in ((broker.port, "/v3/accounts"), (broker.control_port, "/health")):
        answer = httpx.get(f"http://127.0.0.1:{port}{path}", headers={"Authorization": "Bearer wrong"})
        assert answer.status_code == 401


def test_sigterm_ends_the_broker_within_two_seconds() -> None:
    with running_broker("--tick-ms", "50") as broker:
        broker.process.terminate()
        assert broker.process.wait(2) == 0
