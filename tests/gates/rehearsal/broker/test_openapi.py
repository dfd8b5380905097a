"""Every kind of reply validates against the broker's own OpenAPI document."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from .conftest import TOKEN, Broker

ROOT = Path(__file__).parents[4]
DOCUMENT = ROOT.parent / "shared" / "data" / "oanda" / "v20-openapi3.json"

NEWER_THAN_THE_DOCUMENT = {
    *("lastTransactionID", "relatedTransactionIDs", "errorCode", "errorMessage"),
    *("dividendAdjustment", "requestedUnits", "homeConversionFactors", "clientTradeID", "financing", "tags"),
    *("guaranteedStopLossOrderMode", "timestamp", "closedTradeID", "tradeCloseTransactionID", "marginUsed"),
}
"""Names that today's service sends, or sends in more answers than the document of 2018 knows."""

pytestmark = pytest.mark.skipif(
    not DOCUMENT.exists(), reason="the OpenAPI document is kept out of the project, in ../shared/data/oanda"
)


class Document:
    """Validates replies; what the document says about a Transaction or Order depends on its type."""

    def __init__(self, text: str) -> None:
        self.tree = json.loads(text)
        self.schemas = self.tree["components"]["schemas"]
        self.seen: set[tuple[str, str, int]] = set()

    def check(self, response: httpx.Response) -> None:
        response.read()
        request = response.request
        path = request.url.path.removeprefix("/v3")
        template = next((t for t in self.tree["paths"] if _matches(t, path)), None)
        assert template, f"{path} is no path of the document"
        described = self.tree["paths"][template][request.method.lower()]["responses"]
        assert str(response.status_code) in described, (
            f"{request.method} {path} → {response.status_code} {response.text}"
        )
        content = self._resolved(described[str(response.status_code)]).get("content", {})
        assert response.headers["RequestID"]
        self.seen.add((request.method, template, response.status_code))
        if "application/json" in content:
            self.compare(response.json(), content["application/json"]["schema"], path)

    def compare(self, value: Any, schema: dict[str, Any], where: str) -> None:
        """Types by jsonschema; names by hand, since the document forbids no unknown name."""
        schema = self._special(value, self._resolved(schema))
        Draft202012Validator({**schema, "components": self.tree["components"]}).validate(value)
        if isinstance(value, list):
            for item in value:
                self.compare(item, schema.get("items", {}), f"{where}[]")
        if isinstance(value, dict) and "properties" in schema:
            unknown = set(value) - set(schema["properties"]) - NEWER_THAN_THE_DOCUMENT
            assert not unknown, f"{where} has {sorted(unknown)}"
            for name, part in value.items():
                if name in schema["properties"]:
                    self.compare(part, schema["properties"][name], f"{where}.{name}")

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            found: Any = self.tree
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            schema = found
        return schema

    def _special(self, value: Any, schema: dict[str, Any]) -> dict[str, Any]:
        """The schema of the transaction's or order's own type."""
        base = next((name for name in ("Transaction", "Order") if schema is self.schemas[name]), None)
        if base is None or not isinstance(value, dict):
            return schema
        special: dict[str, Any] = self.schemas["".join(word.title() for word in value["type"].split("_")) + base]
        return special


def _matches(template: str, path: str) -> bool:
    pattern = re.sub(r"\{[^}]+\}", "[^/]+", template)
    if not re.fullmatch(pattern, path):
        return False
    return "{transactionID}" not in template or path.rsplit("/", 1)[-1].isdigit()


@pytest.fixture(scope="module")
def document() -> Document:
    return Document(DOCUMENT.read_text("utf-8"))


def test_every_reply_of_a_long_session_validates(broker: Broker, document: Document) -> None:
    account = broker.fresh_account(currency="EUR")
    with httpx.Client(
        base_url=f"http://127.0.0.1:{broker.port}/v3",
        headers={"Authorization": f"Bearer {TOKEN}"},
        event_hooks={"response": [document.check]},
    ) as client:
        base = f"/accounts/{account}"
        _write(client, base, broker)
        _read(client, base)
    assert len(document.seen) >= 35, sorted(document.seen)


def _order(client: httpx.Client, base: str, **order: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client.post(f"{base}/orders", json={"order": {"instrument": "EUR_USD", **order}}).json()
    return answer


def _write(client: httpx.Client, base: str, broker: Broker) -> None:
    protected = {
        "stopLossOnFill": {"price": "1.09000"},
        "takeProfitOnFill": {"price": "1.12000"},
        "trailingStopLossOnFill": {"distance": "0.01000"},
        "clientExtensions": {"id": "order", "tag": "t", "comment": "c"},
        "tradeClientExtensions": {"id": "trade"},
    }
    filled = _order(client, base, type="MARKET", units="1000", **protected)
    trade = filled["orderFillTransaction"]["tradeOpened"]["tradeID"]
    for kind, price in (("LIMIT", "1.08000"), ("STOP", "1.15000"), ("MARKET_IF_TOUCHED", "1.07000")):
        placed = _order(client, base, type=kind, units="10", price=price, clientExtensions={"id": kind})
        order = placed["orderCreateTransaction"]["id"]
        extensions = {"clientExtensions": {"tag": "new"}}
        assert client.put(f"{base}/orders/{order}/clientExtensions", json=extensions).status_code == 200
    body = {"order": {"type": "LIMIT", "instrument": "EUR_USD", "units": "20", "price": "1.08100"}}
    assert client.put(f"{base}/orders/@LIMIT", json=body).status_code == 201
    assert client.put(f"{base}/orders/@STOP/cancel").status_code == 200
    assert client.put(f"{base}/orders/77777/cancel").status_code == 404
    for bad in ({"units": "0"}, {"units": "1.5"}, {"units": "1", "instrument": "XAU_USD"}, {}):
        assert "errorCode" in _order(client, base, **{"type": "MARKET", **bad})
    assert "errorCode" in _order(client, base, type="LIMIT", units="1")
    broker.control.post("/liquidity", json={"instrument": "EUR_USD", "units": 300})
    assert "orderCancelTransaction" in _order(client, base, type="MARKET", units="1000", timeInForce="FOK")
    _order(client, base, type="MARKET", units="-400")
    orders = {"stopLoss": {"price": "1.09100"}, "takeProfit": None}
    assert client.put(f"{base}/trades/{trade}/orders", json=orders).status_code == 200
    assert client.put(f"{base}/trades/{trade}/orders", json={"stopLoss": {}}).status_code == 400
    extensions = {"clientExtensions": {"comment": "new"}}
    assert client.put(f"{base}/trades/{trade}/clientExtensions", json=extensions).status_code == 200
    assert client.put(f"{base}/trades/{trade}/clientExtensions", json={}).status_code == 400
    assert client.put(f"{base}/trades/{trade}/close", json={"units": "100"}).status_code == 200
    assert client.put(f"{base}/trades/{trade}/close", json={"units": "100000"}).status_code == 400
    assert client.put(f"{base}/trades/77777/close", json={}).status_code == 404
    assert client.put(f"{base}/positions/EUR_USD/close", json={"longUnits": "100"}).status_code == 200
    assert client.put(f"{base}/positions/EUR_USD/close", json={"longUnits": "999999"}).status_code == 400
    _order(client, base, type="MARKET", units="-5000", instrument="USD_JPY", stopLossOnFill={"distance": "0.100"})


def _read(client: httpx.Client, base: str) -> None:
    for path in (
        *("", "/summary", "/instruments", "/changes?sinceTransactionID=1", "/openTrades", "/trades?state=ALL"),
        *("/trades/5", "/orders?state=ALL", "/orders/4", "/pendingOrders", "/positions", "/openPositions"),
        *("/positions/EUR_USD", "/pricing?instruments=EUR_USD,USD_JPY&includeHomeConversions=true"),
        *("/transactions", "/transactions/4", "/transactions/sinceid?id=0", "/transactions/idrange?from=1&to=9"),
        "/instruments/EUR_USD/candles?price=MBA",
    ):
        assert client.get(base + path).status_code == 200, path
    assert client.get("/accounts").status_code == 200
    assert client.get("/instruments/EUR_USD/candles?price=MBA&granularity=M1").status_code == 200
    assert client.get(base + "/transactions/idrange?from=9&to=999").status_code == 416
    assert client.get(base + "/trades/77777").status_code == 404
    assert client.get(base + "/orders/77777").status_code == 404
    assert client.get(base + "/pricing").status_code == 400
