"""Nothing but GET leaves for a broker: tried with every other verb, past the door and through it, with a socket that
counts what arrives."""

import logging
import pickle
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from audits.sources.get_only import BrokerWriteRefused, GetOnly, GetOnlyTransport, TokenUnusable
from audits.sources.oanda import BrokerAnswerUnreadable, BrokerUnreachable, OandaReader
from tests.audits.answers import answering, as_json
from tests.audits.books import ACCOUNT

TOKEN = "live-token-0123456789abcdef"
VERBS = ("POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "post", "GET ", "GETT")


class Counter:
    """How many connections came, and how many bytes over them."""

    def __init__(self) -> None:
        self.connections = 0
        self.received = b""


@contextmanager
def counting() -> Iterator[tuple[str, Counter]]:
    """A loopback server that answers nothing and counts everything."""
    counter = Counter()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            counter.connections += 1
            with connection:
                connection.settimeout(2)
                counter.received += connection.recv(65536)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", counter
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=5)


@pytest.mark.parametrize("verb", VERBS)
def test_every_other_verb_is_refused_before_a_byte_leaves(verb):
    with counting() as (url, counter), GetOnly(url, TOKEN, timeout_s=2) as door:
        client = door._asking  # what somebody would reach for who means to trade
        tries = (
            lambda: client.request(verb, f"{url}/v3/accounts/{ACCOUNT}/orders"),
            lambda: client.request(verb, f"{url}/v3/accounts/{ACCOUNT}/orders", json={"order": {"units": "1"}}),
            lambda: client.send(httpx.Request(verb, f"{url}/v3/accounts/{ACCOUNT}/orders")),
            lambda: client._transport.handle_request(httpx.Request(verb, url)),
        )
        for one in tries:
            with pytest.raises(BrokerWriteRefused, match="refused"):
                one()
    assert (counter.connections, counter.received) == (0, b"")


@pytest.mark.parametrize("name", ["post", "put", "patch", "delete"])
def test_the_clients_own_shorthands_are_refused_too(name):
    with counting() as (url, counter), GetOnly(url, TOKEN, timeout_s=2) as door, pytest.raises(BrokerWriteRefused):
        getattr(door._asking, name)(f"{url}/v3/accounts/{ACCOUNT}/trades/1/close")
    assert counter.connections == 0


def test_a_get_with_a_body_or_to_another_host_is_refused_with_the_token_kept():
    with counting() as (url, counter), GetOnly("http://localhost:1", TOKEN, timeout_s=2) as door:
        with pytest.raises(BrokerWriteRefused, match=r"the token is for localhost"):
            door.get(f"{url}/v3/accounts", {})
        with pytest.raises(BrokerWriteRefused, match="body"):
            door._asking.request("GET", "http://localhost:1/v3/accounts", content=b"units=1")
        with pytest.raises(BrokerWriteRefused, match="body"):
            door._asking.request("GET", "http://localhost:1/v3/accounts", content=iter([b"units=1"]))
    assert counter.connections == 0


def test_the_server_that_counts_does_see_a_get():
    """So that nought above means that nothing was sent."""
    with counting() as (url, counter):
        with GetOnly(url, TOKEN, timeout_s=1) as door, pytest.raises(httpx.TransportError):
            door.get(f"{url}/v3/accounts", {})
        assert counter.received.startswith(b"GET /v3/accounts HTTP/1.1")
        assert f"Bearer {TOKEN}".encode() in counter.received


def test_the_door_and_the_reader_have_no_method_that_sends_anything_else():
    """What a type checker sees: one verb on the door, only questions on the reader."""
    assert {name for name in dir(GetOnly) if not name.startswith("_")} == {"get", "close"}
    words = {name for name in dir(OandaReader) if not name.startswith("_")}
    assert words == {
        *("account", "accounts", "summary", "open_trades", "pricing", "time", "transactions", "candles"),
        *("describe", "close"),
    }


def test_a_redirect_is_not_followed():
    def away(path, query):
        return 307, "text/plain", b"elsewhere"

    with answering(away) as broker, GetOnly(broker.url, TOKEN, timeout_s=2) as door:
        assert door.get(f"{broker.url}/v3/accounts", {}).status == 307
    assert len(broker.asked) == 1


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "t\xf6ken", f"{TOKEN}\r", "\0"])
def test_a_token_that_cannot_be_sent_is_refused_without_being_said(token, caplog):
    reader = OandaReader("http://127.0.0.1:9", ACCOUNT, token, attempts=1)
    with pytest.raises(TokenUnusable) as refusal:
        reader.summary()
    said = "".join(traceback.format_exception(refusal.value)) + caplog.text
    assert not token.strip() or token.strip() not in said.replace("sources/get_only.py", "")


def test_the_token_is_in_no_repr_log_line_or_exception(caplog):
    caplog.set_level(logging.DEBUG)
    reader = OandaReader("http://127.0.0.1:9", ACCOUNT, TOKEN, timeout_s=0.2, attempts=1)
    with pytest.raises(BrokerUnreachable) as trouble:
        reader.summary()
    said = [repr(reader), str(reader), reader.describe(), repr(reader._door), caplog.text]
    said += ["".join(traceback.format_exception(trouble.value))]
    error: BaseException | None = trouble.value
    while error is not None:  # what a debugger or an error page would print of each
        said += [repr(error), repr(vars(error))]
        request = getattr(error, "_request", None)
        said += [repr(list(request.headers.raw))] if request is not None else []
        error = error.__cause__ or error.__context__
    assert not [words for words in said if TOKEN in words]


def test_what_an_answer_says_back_is_not_repeated_with_the_token(caplog):
    """A broker that echoes the header in its message would put the token into the sentence that is stored."""

    def echo(path, query):
        return as_json({"errorMessage": f"Insufficient authorization: Bearer {TOKEN}"}, status=400)

    with answering(echo) as broker:
        reader = OandaReader(broker.url, ACCOUNT, TOKEN, attempts=1)
        with pytest.raises(BrokerAnswerUnreadable, match="400") as trouble:
            reader.summary()
        reader.close()
    assert TOKEN not in str(trouble.value)


def test_a_transport_is_not_pickled_into_a_message():
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        pickle.dumps(GetOnlyTransport("127.0.0.1", TOKEN))
