"""HTTP goes through the proxy unchanged, whatever its framing, and every exchange is named."""

import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from gates.chaos.faults import (
    BrokerRefusal,
    Delay,
    HalfOpen,
    KillAfter,
    KillBefore,
    LoseAnswer,
    LoseRequest,
    Reset,
    Stall,
    TerminateBackend,
)
from gates.chaos.messages import Direction
from gates.chaos.proxies.authority import Authority
from gates.chaos.proxies.events import Decision, Held, Missed
from tests.gates.chaos.conftest import Web, running_origin
from tests.gates.chaos.origin import MORE_THAN_IS_HELD
from tests.gates.chaos.owners import broker as at
from tests.gates.chaos.owners import owned_proxy

ORDERS = "/v3/accounts/101-001-1-001/orders"
POST = "POST /v3/accounts/*/orders"
STREAM = "/v3/accounts/101-001-1-001/transactions/stream"
GET_STREAM = "GET /v3/accounts/*/transactions/stream"
LOST = (httpx.RemoteProtocolError, httpx.ReadError)


def read_answer(raw: socket.socket, until: bytes) -> bytes:
    got = b""
    while until not in got:
        piece = raw.recv(65_536)
        if not piece:
            return got
        got += piece
    return got


def test_requests_and_answers_are_named_in_words(web: Web):
    assert web.client.post(ORDERS, content="buy").status_code == 201
    assert web.owner.labels(Direction.REQUEST) == ["broker: POST orders"]
    assert web.owner.labels(Direction.ANSWER) == ["broker: POST orders answered 201"]
    assert [message.fingerprint for message in web.owner.recording()] == [POST, POST]


def test_one_connection_carries_many_requests_of_every_framing(web: Web):
    for _ in range(3):
        assert web.client.get("/echo", params={"a": "b"}).json()["method"] == "GET"
        assert web.client.post("/echo", content=b"x" * 100_000).json()["length"] == 100_000
        assert web.client.post("/echo", content=iter([b"a" * 10, b"b" * 70_000])).json()["length"] == 70_010
        assert web.client.head("/echo").headers["content-length"]
        assert web.client.get("/unmodified").status_code == 304
        assert len(web.client.get("/chunks").content) == len(web.direct.get("/chunks").content)
    assert {message.connection for message in web.owner.recording()} == {web.owner.recording()[0].connection}
    status = web.owner.do(web.owner.proxy.control.status())
    assert (status.clients, status.servers) == (1, 1)


def test_connections_to_the_server_are_used_again_by_other_clients(web: Web):
    for _ in range(5):
        with httpx.Client(base_url=str(web.client.base_url)) as client:
            client.get("/echo")
    assert web.owner.do(web.owner.proxy.control.status()).servers == 1


def test_a_request_is_relayed_without_the_headers_of_the_hop(web: Web):
    answer = web.client.get("/echo", headers={"Connection": "close", "X-Kept": "yes"})
    assert answer.json()["headers"]["x-kept"] == "yes"
    assert "connection" not in answer.json()["headers"]
    assert web.owner.do(web.owner.proxy.control.status()).servers == 1


def test_pipelined_requests_are_answered_in_order(web: Web):
    with socket.create_connection(("127.0.0.1", web.owner.port)) as raw:
        one = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b"
        raw.sendall(one % (1, b"a") + one % (2, b"bb") + one % (3, b"ccc"))
        got = b""
        while got.count(b'"length"') < 3:
            got += raw.recv(65_536)
    assert [got.index(b'"length":%d' % number) for number in (1, 2, 3)] == sorted(
        got.index(b'"length":%d' % number) for number in (1, 2, 3)
    )


def test_who_expects_to_be_told_to_go_on_is_told(web: Web):
    with socket.create_connection(("127.0.0.1", web.owner.port)) as raw:
        raw.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert read_answer(raw, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        raw.sendall(b"hello")
        assert b'"length":5' in read_answer(raw, b"}}")


def test_an_old_client_gets_its_answer_and_the_end(web: Web):
    with socket.create_connection(("127.0.0.1", web.owner.port)) as raw:
        raw.sendall(b"GET /echo HTTP/1.0\r\n\r\n")
        assert b'"method":"GET"' in read_answer(raw, b"never")


def test_a_stream_comes_line_by_line_while_it_goes_on(web: Web):
    with web.client.stream("GET", STREAM) as answer:
        lines = answer.iter_lines()
        assert [next(lines) for _ in range(3)] == [
            '{"type":"HEARTBEAT"}',
            '{"type":"ORDER_FILL"}',
            '{"type":"HEARTBEAT"}',
        ]
    names = [message.fingerprint for message in web.owner.recording()[:5]]
    assert names == [
        GET_STREAM,
        GET_STREAM,
        f"{GET_STREAM} line HEARTBEAT",
        f"{GET_STREAM} line ORDER_FILL",
        f"{GET_STREAM} line HEARTBEAT",
    ]
    assert web.owner.labels(Direction.ANSWER)[:2] == [
        "broker: GET transactions stream answered 200",
        "broker: GET transactions stream line HEARTBEAT",
    ]


def test_a_line_of_a_stream_is_lost_with_its_connection(web: Web):
    web.owner.arm(at(Direction.ANSWER, f"{GET_STREAM} line ORDER_FILL"), LoseAnswer())
    got = []
    with pytest.raises(LOST), web.client.stream("GET", STREAM) as answer:
        got.extend(answer.iter_lines())
    assert not [line for line in got if "ORDER_FILL" in line]
    assert web.owner.receipt().message.label == "broker: GET transactions stream line ORDER_FILL"


def test_tls_shows_a_certificate_of_the_project(web: Web):
    context = ssl.create_default_context(cafile=str(web.owner.authority))
    for host in ("127.0.0.1", "localhost"):
        with httpx.Client(verify=context, trust_env=False) as client:
            assert client.get(f"https://{host}:{web.owner.port}/echo").json()["method"] == "GET"


def test_a_lost_request_is_not_carried_out(web: Web):
    web.owner.arm(at(Direction.REQUEST, POST), LoseRequest())
    with pytest.raises(LOST):
        web.client.post(ORDERS, content="buy")
    assert web.owner.receipt().proof["reset_port"]
    assert web.orders() == []


@pytest.mark.parametrize("direction", list(Direction))
def test_a_lost_answer_leaves_the_order_carried_out(web: Web, direction: Direction):
    web.owner.arm(at(direction, POST), LoseAnswer())
    with pytest.raises(LOST):
        web.client.post(ORDERS, content="buy")
    assert web.owner.receipt().proof["answer"] == "201"
    assert web.orders() == ["buy"]
    assert web.client.post(ORDERS, content="again").status_code == 201


@pytest.mark.parametrize("fault", [LoseAnswer(), KillAfter()], ids=lambda fault: fault.strike)
def test_an_answer_that_is_too_long_to_be_held_passes_and_is_no_receipt(web: Web, fault: LoseAnswer | KillAfter):
    web.owner.arm(at(Direction.REQUEST, "GET /large"), fault)
    assert len(web.client.get("/large").content) == MORE_THAN_IS_HELD
    assert "too long to be held" in web.owner.next(Missed).reason
    assert web.client.get("/echo").status_code == 200


@pytest.mark.parametrize(("fault", "carried_out"), [(KillBefore(), []), (KillAfter(), ["buy"])])
def test_a_kill_holds_the_request_or_its_whole_answer(web: Web, fault: KillBefore | KillAfter, carried_out: list[str]):
    web.owner.arm(at(Direction.REQUEST, POST), fault)
    with socket.create_connection(("127.0.0.1", web.owner.port)) as target:
        target.sendall(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nbuy" % ORDERS.encode())
        held = web.owner.next(Held)
        assert web.orders() == carried_out
    web.owner.decide(held, Decision.DISCARD, pid=1, signal="SIGKILL")
    receipt = web.owner.receipt()
    assert receipt.proof["signal"] == "SIGKILL"
    assert receipt.proof["left_open"] == 0  # a connection to this server is the pool's before and after a request
    web.owner.do(web.owner.proxy.control.close_upstream())
    assert web.orders() == carried_out


def test_a_refusal_is_answered_in_the_brokers_place(web: Web):
    web.owner.arm(at(Direction.REQUEST, POST), BrokerRefusal(status=429, message="Slow down", retry_after_s=3))
    answer = web.client.post(ORDERS, content="buy")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert answer.json() == {"errorMessage": "Slow down"}
    assert web.orders() == []
    assert web.client.post(ORDERS, content="again").status_code == 201
    assert web.owner.labels(Direction.ANSWER) == [
        "broker: POST orders answered 429",
        "broker: POST orders answered 201",
    ]


@pytest.mark.parametrize("direction", list(Direction))
def test_a_delayed_message_comes_late(web: Web, direction: Direction):
    web.owner.arm(at(direction, POST), Delay(delay_ms=200))
    began = time.monotonic()
    assert web.client.post(ORDERS, content="buy").status_code == 201
    proof = web.owner.receipt().proof
    assert (time.monotonic() - began) * 1000 >= proof["delay_ms"] >= 200
    assert proof["target_hung_up"] is False


def test_an_answer_beyond_the_clients_patience_finds_nobody_and_the_order_stands(web: Web):
    web.owner.arm(at(Direction.ANSWER, POST), Delay(delay_ms=400))
    with pytest.raises(httpx.ReadTimeout):
        web.client.post(ORDERS, content="buy", timeout=0.1)
    assert web.owner.receipt().proof["target_hung_up"] is True
    assert web.orders() == ["buy"]


@pytest.mark.parametrize("fault", [Stall(stall_ms=200), Reset()])
def test_a_stalled_or_reset_request_is_never_carried_out(web: Web, fault: Stall | Reset):
    web.owner.arm(at(Direction.REQUEST, POST), fault)
    with pytest.raises(LOST):
        web.client.post(ORDERS, content="buy")
    web.owner.receipt()
    assert web.orders() == []


def test_a_stall_is_over_when_the_target_hangs_up(web: Web):
    web.owner.arm(at(Direction.ANSWER, POST), Stall(stall_ms=60_000))
    with httpx.Client(base_url=str(web.client.base_url)) as client, pytest.raises(httpx.ReadTimeout):
        client.post(ORDERS, content="buy", timeout=0.1)
    proof = web.owner.receipt().proof
    assert proof["target_hung_up"] is True
    assert proof["stall_ms"] < 60_000
    assert web.orders() == ["buy"]


@pytest.mark.parametrize("fault", [Stall(stall_ms=60_000), LoseAnswer(), Delay(delay_ms=1)])
def test_an_answer_that_nobody_waits_for_any_more_is_not_struck(web: Web, fault: Stall | LoseAnswer | Delay):
    web.owner.arm(at(Direction.ANSWER, "POST /late"), fault)
    with socket.create_connection((web.client.base_url.host, web.client.base_url.port or 0), timeout=30) as raw:
        raw.sendall(b"POST /late HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        soon(lambda: web.owner.labels(Direction.REQUEST))
    soon(lambda: web.owner.do(web.owner.proxy.control.status()).clients == 0)
    web.direct.delete("/late")
    assert "had hung up before" in web.owner.next(Missed).reason


@pytest.mark.parametrize("direction", [Direction.ANSWER, Direction.REQUEST])
def test_a_target_that_hangs_up_while_its_message_stands_is_not_struck_by_what_comes_then(
    web: Web, direction: Direction
):
    web.owner.arm(at(direction, POST), LoseAnswer() if direction is Direction.ANSWER else LoseRequest(), hold_ms=1_000)
    with socket.create_connection((web.client.base_url.host, web.client.base_url.port or 0), timeout=30) as raw:
        raw.sendall(f"POST {ORDERS} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        soon(lambda: web.owner.labels(direction))
    assert "hung up while" in web.owner.next(Missed).reason


def soon(seen: Callable[[], object]) -> None:
    for _ in range(3_000):
        if seen():
            return
        time.sleep(0.01)
    raise AssertionError("it was not seen within 30 s")


def test_a_target_that_never_hangs_up_is_told_of(web: Web):
    web.owner.arm(at(Direction.REQUEST, POST), Stall(stall_ms=200))
    with pytest.raises(LOST):
        web.client.post(ORDERS, content="buy")
    assert web.owner.receipt().proof["target_hung_up"] is False


@pytest.mark.parametrize("fault", [TerminateBackend(), HalfOpen(keep_ms=100)])
def test_faults_that_a_broker_does_not_have_are_not_applicable(web: Web, fault: TerminateBackend | HalfOpen):
    web.owner.arm(at(Direction.REQUEST, POST), fault)
    assert web.client.post(ORDERS, content="buy").status_code == 201
    assert not web.owner.next(Missed).applicable


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 600,
        b"GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: api-fxtrade.oanda.com\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"x" * 70_000,
    ],
)
def test_what_is_not_http_ends_its_connection_and_nothing_else(web: Web, sent: bytes):
    with socket.create_connection(("127.0.0.1", web.owner.port), 5) as raw:
        raw.sendall(sent)
        raw.settimeout(5)
        assert b"200 OK" not in read_answer(raw, b"never")
    assert web.client.get("/echo").status_code == 200
    assert web.owner.do(web.owner.proxy.control.status()).clients == 1


def test_a_ledger_that_speaks_http_is_named_as_a_ledger(origin_port: int):
    with owned_proxy("http", f"127.0.0.1:{origin_port}", "--channel", "ledger") as owner:
        assert (
            httpx.post(f"http://127.0.0.1:{owner.port}/rest/v1/executions?select=*", trust_env=False).status_code == 404
        )
        assert owner.labels(Direction.ANSWER) == ["ledger: POST executions answered 404"]


def test_a_server_behind_tls_is_reached_and_its_certificate_checked(tmp_path: Path):
    authority = Authority.in_folder(tmp_path / "authority")
    (tmp_path / "server.pem").write_bytes(authority.issue())
    with running_origin(str(tmp_path / "server.pem")) as port:
        for trusted, answered in (
            (authority.certificate, True),
            (Authority.in_folder(tmp_path / "other").certificate, False),
        ):
            options = ("--upstream-tls", "--upstream-ca", str(trusted))
            with owned_proxy("http", f"127.0.0.1:{port}", *options) as owner:
                url = f"http://127.0.0.1:{owner.port}/echo"
                if answered:
                    assert httpx.get(url, trust_env=False).json()["method"] == "GET"
                else:
                    with pytest.raises(LOST):
                        httpx.get(url, trust_env=False)
