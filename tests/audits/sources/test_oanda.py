"""The broker reader: only GET, nothing truncated, nothing rounded, one sentence for each trouble."""

import socket
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from audits.sources.oanda import (
    PAGE_CANDLES,
    BrokerAnswerUnreadable,
    BrokerRefused,
    BrokerUnreachable,
    OandaReader,
)
from tests.audits.answers import Answer, Answers, answering, as_json
from tests.audits.books import ACCOUNT, NOON, at

PREFIX = f"/v3/accounts/{ACCOUNT}"


def reader(url: str) -> OandaReader:
    return OandaReader(url, ACCOUNT, "secret", timeout_s=2.0, attempts=2)


def history(last: int, *, missing: int = 0, page: int = 1000) -> Callable[[str, dict[str, str]], Answer]:
    """An account with transactions 1 to `last`; one request never returns more than `page` of them."""

    def answer(path: str, query: dict[str, str]) -> Answer:
        if path == f"{PREFIX}/summary":
            return as_json({"account": {"id": ACCOUNT, "lastTransactionID": str(last)}})
        first = int(query["id"]) + 1 if path.endswith("sinceid") else int(query["from"])
        until = min(int(query.get("to", last)), last, first + page - 1)
        found = [{"id": str(number)} for number in range(first, until + 1) if number != missing]
        return as_json({"transactions": found, "lastTransactionID": str(last)})

    return answer


def test_the_account_is_read_with_get_and_its_numbers_stay_as_they_were_sent() -> None:
    body = b'{"account": {"balance": "100000.1230", "openTradeCount": 2, "odd": 0.1}}'
    with answering(lambda path, query: (200, "application/json", body)) as answers:
        account = reader(answers.url + "/v3/").account()
    assert account == {"balance": "100000.1230", "openTradeCount": 2, "odd": Decimal("0.1")}
    assert answers.asked == [("GET", PREFIX, {})]
    assert answers.headers[0]["Authorization"] == "Bearer secret"


def test_no_verb_but_get_can_be_reached() -> None:
    public = {name for name in vars(OandaReader) if not name.startswith("_")}
    assert public == {
        "account",
        "accounts",
        "summary",
        "open_trades",
        "transactions",
        "candles",
        "pricing",
        "time",
        "describe",
        "close",
    }


def test_a_whole_history_is_read_in_pages() -> None:
    with answering(history(2500)) as answers:
        found = reader(answers.url).transactions()
    assert [int(record["id"]) for record in found] == list(range(1, 2501))
    assert [query for _, _, query in answers.asked[1:]] == [
        {"from": "1", "to": "1000"},
        {"from": "1001", "to": "2000"},
        {"from": "2001", "to": "2500"},
    ]


def test_what_sinceid_leaves_out_is_read_in_pages() -> None:
    with answering(history(2500)) as answers:
        found = reader(answers.url).transactions(1200)
    assert [int(record["id"]) for record in found] == list(range(1201, 2501))
    assert [path.rsplit("/", 1)[1] for _, path, _ in answers.asked] == ["sinceid", "idrange"]


def test_nothing_new_is_an_empty_list() -> None:
    with answering(history(7)) as answers:
        assert reader(answers.url).transactions(7) == []


@pytest.mark.parametrize("since", [0, 3])
def test_a_missing_transaction_is_named(since: int) -> None:
    with (
        answering(history(20, missing=9)) as answers,
        pytest.raises(BrokerAnswerUnreadable, match=r"id 9 should come next, 10 came"),
    ):
        reader(answers.url).transactions(since)


def test_a_truncated_history_is_noticed() -> None:
    with (
        answering(history(900, page=100)) as answers,
        pytest.raises(BrokerAnswerUnreadable, match="they end before id 101, the last is 900"),
    ):
        reader(answers.url).transactions()


def test_candles_come_in_pages_each_once_and_only_of_the_time_asked_for() -> None:
    start, end = NOON, NOON + timedelta(seconds=5 * PAGE_CANDLES + 30)

    def answer(path: str, query: dict[str, str]) -> Answer:
        names = [query["from"], query["to"]]  # both ends are given, so each border candle comes twice
        return as_json({"candles": [{"time": name} for name in names]})

    with answering(answer) as answers:
        found = reader(answers.url).candles("EUR_USD", start, end)
    assert len(answers.asked) == 2
    assert answers.asked[0][2]["price"] == "BA"
    assert [candle["time"] for candle in found] == [
        "2026-11-22T12:00:00.000000Z",
        (start + timedelta(seconds=5 * (PAGE_CANDLES - 1))).strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
    ]


def test_candles_without_a_zone_are_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        reader("http://127.0.0.1:1").candles("EUR_USD", NOON.replace(tzinfo=None), at(5))


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_names_the_token(status: int) -> None:
    with answering(lambda path, query: as_json({}, status)) as answers:
        with pytest.raises(BrokerRefused, match=f"with {status}: check the token"):
            reader(answers.url).account()
        assert len(answers.asked) == 1


def test_a_page_in_html_is_named_and_not_retried() -> None:
    with answering(lambda path, query: (200, "text/html", b"<html>maintenance</html>")) as answers:
        with pytest.raises(BrokerAnswerUnreadable, match=r"no JSON \(text/html\)"):
            reader(answers.url).account()
        assert len(answers.asked) == 1


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        ([], 200, "no JSON object"),
        ({}, 200, "has no account"),
        ({"errorMessage": "No such account"}, 404, "404: No such account"),
    ],
)
def test_an_answer_of_another_shape_is_named(content: Any, status: int, words: str) -> None:
    with (
        answering(lambda path, query: as_json(content, status)) as answers,
        pytest.raises(BrokerAnswerUnreadable, match=words),
    ):
        reader(answers.url).account()


def test_a_broker_that_is_busy_is_asked_again_and_then_named() -> None:
    def busy(path: str, query: dict[str, str]) -> Answer:
        return as_json({"account": {}}, 503 if len(answers.asked) < 2 else 200)

    answers: Answers
    with answering(busy) as answers:
        assert reader(answers.url).account() == {}
    with answering(lambda path, query: as_json({}, 503)) as answers:
        with pytest.raises(BrokerUnreachable, match="in 2 tries: it answered 503"):
            reader(answers.url).account()
        assert len(answers.asked) == 2


def test_a_broker_that_is_not_there_is_named_without_the_token() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(BrokerUnreachable, match="gave no usable answer") as caught:
        reader(url).account()
    assert "secret" not in str(caught.value)
    with pytest.raises(BrokerUnreachable, match=r"cannot be used|no usable answer"):
        reader("no address").account()
