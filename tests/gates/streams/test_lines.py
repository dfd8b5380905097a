"""One line of a stream: whatever comes is read, or refused in words that cannot harm."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.streams.lines import Heartbeat, LineUnreadable, Quote, Told, read_line

AT = "2026-03-01T12:00:00.123456789Z"
WORDS = st.text("x1-.eE∞ ", max_size=5)
PRICE = {
    "type": "PRICE",
    "time": AT,
    "instrument": "EUR_USD",
    "bids": [{"price": "1.09990", "liquidity": 1}, {"price": "1.09994", "liquidity": 1}],
    "asks": [{"price": "1.10006", "liquidity": 1}],
}


def line(**fields):
    return json.dumps(fields).encode()


def test_a_price_a_transaction_and_both_heartbeats_are_read():
    at = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
    assert read_line(line(**PRICE)) == Quote(at, "EUR_USD", bid=Decimal("1.09994"), ask=Decimal("1.10006"))
    assert read_line(line(type="HEARTBEAT", time=AT)) == Heartbeat(at, None)
    assert read_line(line(type="HEARTBEAT", time=AT, lastTransactionID="42")) == Heartbeat(at, 42)
    told = read_line(line(type="ORDER_FILL", time=AT, id="43", pl="1.5"))
    assert isinstance(told, Told)
    assert (told.number, told.record["pl"]) == (43, "1.5")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"<html>login</html>", "no JSON"),
        (b"[1]", "no JSON object"),
        (line(type="PRICE", time="2026-03-01T12:00:00"), "no zone"),
        (line(**PRICE | {"bids": []}), "no bids"),
        (line(**PRICE | {"asks": "x"}), "no asks"),
        (line(**PRICE | {"bids": [{"price": "NaN"}]}), "no finite number"),
        (line(type="ORDER_FILL", time=AT), "no id"),
        (line(type="HEARTBEAT", time=AT, lastTransactionID="-1"), "no whole number"),
        (b"[" * 100_000, "no JSON"),
        (b"x" * 2_000_000, "more than"),
    ],
)
def test_what_is_no_line_is_refused_in_words(raw, words):
    with pytest.raises(LineUnreadable, match=words):
        read_line(raw)


def test_what_is_shown_of_a_bad_line_can_turn_no_text_around_and_ring_no_bell():
    with pytest.raises(LineUnreadable) as refused:
        read_line("\u202egnp.exe\x1b[31m\x07".encode())
    assert not {"\u202e", "\x1b", "\x07"} & set(str(refused.value))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw):
    try:
        found = read_line(raw)
    except LineUnreadable:
        return
    assert isinstance(found, Heartbeat | Quote | Told)


@given(
    st.dictionaries(
        st.sampled_from(["type", "time", "id", "instrument", "bids", "asks", "lastTransactionID"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.sampled_from(["PRICE", "HEARTBEAT", AT])
        | st.lists(st.none() | st.dictionaries(st.just("price"), WORDS | st.integers() | st.none()), max_size=2),
    )
)
def test_any_object_is_read_or_refused(record):
    try:
        found = read_line(json.dumps(record).encode())
    except LineUnreadable:
        return
    assert isinstance(found, Heartbeat | Quote | Told)
