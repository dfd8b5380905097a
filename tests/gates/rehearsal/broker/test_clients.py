"""The real clients, unmodified, trade against a running broker: v20, oandapyV20, fivetwenty."""

import asyncio
from decimal import Decimal
from typing import Any

import fivetwenty
import httpx
import pytest
import v20
from oandapyV20 import API, oandapyV20
from oandapyV20.endpoints import accounts, orders, positions, pricing, trades, transactions
from oandapyV20.exceptions import V20Error

from .conftest import TOKEN, Broker

MARKET = {"type": "MARKET", "instrument": "EUR_USD", "units": "1000", "timeInForce": "FOK", "positionFill": "DEFAULT"}


def test_v20_trades(broker: Broker) -> None:
    account = broker.fresh_account()
    client = v20.Context(
        "127.0.0.1", broker.port, ssl=False, token=TOKEN, decimal_number_as_float=False, datetime_format="RFC3339"
    )
    filled = client.order.market(
        account,
        instrument="EUR_USD",
        units=1000,
        stopLossOnFill={"price": "1.09000"},
        takeProfitOnFill={"price": "1.11000"},
    )
    assert filled.status == 201
    opened = filled.get("orderFillTransaction", 201).tradeOpened
    assert opened.price == "1.10006"
    trade = client.trade.get(account, opened.tradeID).get("trade", 200)
    assert trade.stopLossOrder.price == "1.09000"
    assert client.trade.set_dependent_orders(account, opened.tradeID, stopLoss={"price": "1.09500"}).status == 200
    closed = client.trade.close(account, opened.tradeID).get("orderFillTransaction", 200)
    assert closed.pl == "-0.1200"
    summary = client.account.summary(account).get("account", 200)
    assert summary.balance == "99999.8800"
    changes = client.account.changes(account, sinceTransactionID="3")
    assert [t.id for t in changes.get("changes", 200).tradesClosed] == [opened.tradeID]
    since = client.transaction.since(account, id="3").get("transactions", 200)
    assert [t.type for t in since][:2] == ["MARKET_ORDER", "ORDER_FILL"]
    candles = client.instrument.candles("EUR_USD", granularity="S5", price="MBA").get("candles", 200)
    assert candles[-1].bid.c is not None
    rejected = client.order.market(account, instrument="EUR_USD", units=0)
    assert rejected.status == 400
    assert rejected.get("orderRejectTransaction", 400).rejectReason == "UNITS_INVALID"


@pytest.fixture
def oanda(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> API:
    address = f"http://127.0.0.1:{broker.port}"
    monkeypatch.setitem(oandapyV20.TRADING_ENVIRONMENTS, "rehearsal", {"api": address, "stream": address})
    return API(access_token=TOKEN, environment="rehearsal", request_params={"timeout": 10})


def test_oandapyv20_trades(broker: Broker, oanda: API) -> None:
    account = broker.fresh_account()
    created = oanda.request(orders.OrderCreate(account, data={"order": MARKET}))
    trade_id = created["orderFillTransaction"]["tradeOpened"]["tradeID"]
    limit = {"type": "LIMIT", "instrument": "EUR_USD", "units": "500", "price": "1.09000"}
    placed = oanda.request(orders.OrderCreate(account, data={"order": limit}))["orderCreateTransaction"]["id"]
    replaced = oanda.request(orders.OrderReplace(account, placed, data={"order": {**limit, "price": "1.08000"}}))
    new_id = replaced["orderCreateTransaction"]["id"]
    assert replaced["orderCancelTransaction"]["reason"] == "CLIENT_REQUEST_REPLACED"
    oanda.request(orders.OrderCancel(account, new_id))
    assert oanda.request(orders.OrdersPending(account))["orders"] == []
    oanda.request(trades.TradeClientExtensions(account, trade_id, data={"clientExtensions": {"id": "mine"}}))
    assert oanda.request(trades.TradeDetails(account, "@mine"))["trade"]["id"] == trade_id
    oanda.request(trades.TradeClose(account, trade_id, data={"units": "400"}))
    closed = oanda.request(positions.PositionClose(account, "EUR_USD", data={"longUnits": "ALL"}))
    assert closed["longOrderFillTransaction"]["units"] == "-600"
    assert oanda.request(accounts.AccountSummary(account))["account"]["balance"] == "99999.8800"
    prices = oanda.request(pricing.PricingInfo(account, params={"instruments": "EUR_USD,USD_JPY"}))
    assert len(prices["prices"]) == 2
    pages = oanda.request(transactions.TransactionList(account, params={"pageSize": 5}))
    lines = [t for url in pages["pages"] for t in broker.v3.get(url).json()["transactions"]]
    assert [int(t["id"]) for t in lines] == list(range(1, pages["count"] + 1))
    with pytest.raises(V20Error):
        oanda.request(orders.OrderCancel(account, "999"))


def test_oandapyv20_streams_transactions_with_heartbeats(broker: Broker, oanda: API) -> None:
    account = broker.fresh_account()
    stream = oanda.request(transactions.TransactionsStream(account))
    beat = next(stream)
    assert (beat["type"], beat["lastTransactionID"]) == ("HEARTBEAT", "3")
    broker.v3.post(f"/accounts/{account}/orders", json={"order": MARKET})
    assert [next(stream)["id"], next(stream)["type"]] == ["4", "ORDER_FILL"]


def test_a_missing_and_a_doubled_line_of_the_stream(broker: Broker, oanda: API) -> None:
    account = broker.fresh_account()
    stream = oanda.request(transactions.TransactionsStream(account))
    next(stream)
    broker.control.post("/faults", json={"kind": "missing_line", "times": 1})
    broker.control.post("/faults", json={"kind": "duplicate_line", "times": 1})
    broker.v3.post(f"/accounts/{account}/orders", json={"order": MARKET})
    assert [next(stream)["id"], next(stream)["id"]] == ["5", "5"]


def test_oandapyv20_streams_prices(broker: Broker, oanda: API) -> None:
    account = broker.fresh_account()
    stream = oanda.request(pricing.PricingStream(account, params={"instruments": "EUR_USD"}))
    seen = [next(stream), next(stream)]
    assert {line["type"] for line in seen} == {"HEARTBEAT", "PRICE"}


def test_fivetwenty_trades(broker: Broker) -> None:
    asyncio.run(_trade_with_fivetwenty(broker))


async def _trade_with_fivetwenty(broker: Broker) -> None:
    account = broker.fresh_account()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{broker.port}/v3", headers=headers) as transport:
        client: Any = fivetwenty.AsyncClient(token=TOKEN, account_id=account, transport=transport)
        filled = await client.orders.post_market_order(account, instrument="EUR_USD", units=1000)
        trade_id = filled["orderFillTransaction"].trade_opened.trade_id
        summary = await client.accounts.get_account_summary(account)
        assert summary["account"].unrealized_pl == Decimal("-0.1200")
        full = await client.accounts.get_account(account)
        assert [trade.id for trade in full["account"].trades] == [trade_id]
        opened = await client.trades.get_open_trades(account)
        assert opened["trades"][0].current_units == Decimal(1000)
        await client.trades.close_trade(account, trade_id)
        after = await client.accounts.get_account_summary(account)
        assert after["account"].balance == Decimal("99999.8800")
