"""Whatever bytes come, only their connection ends; and nothing is left over after hundreds of strikes."""

import contextlib
import os
import random
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gates.chaos.faults import CleanClose, Fault, LoseAnswer, LoseRequest, Reset
from gates.chaos.messages import Channel, Direction
from gates.chaos.proxies.exchanges import Exchange, said
from gates.chaos.proxies.http_answers import AnswerReader
from gates.chaos.proxies.http_requests import RequestReader
from gates.chaos.proxies.lines import BadBytesError
from gates.chaos.proxies.pg_answers import Answers
from gates.chaos.proxies.pg_requests import Requests
from gates.chaos.proxies.pg_startup import first_packet
from tests.gates.chaos.conftest import Ledger, Web
from tests.gates.chaos.owners import Owner
from tests.gates.chaos.owners import ledger as at

CONNECTIONS = 1_000
STARTUP_BODY = struct.pack(">I", 196_608) + b"user\0wartest\0database\0postgres\0\0"
STARTUP = struct.pack(">I", len(STARTUP_BODY) + 4) + STARTUP_BODY
SSL_REQUEST = struct.pack(">II", 8, 80_877_103)
HELLO = b"\x16\x03\x01\x00\xf8\x01\x00\x00\xf4\x03\x03"


def framed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body) + 4) + body


FRAMES = st.lists(
    st.builds(framed, st.sampled_from([bytes([kind]) for kind in b"QPBDECSHXFdcfp"]), st.binary(max_size=60)),
    max_size=8,
).map(b"".join)


@given(st.one_of(st.binary(max_size=300), FRAMES), st.lists(st.integers(1, 40), max_size=12))
def test_a_reader_understands_the_same_however_the_bytes_are_cut(data: bytes, cuts: list[int]):
    def read(pieces: list[bytes]) -> list[tuple[int, str]] | str:
        reader, seen, passed = Requests(), [], 0
        try:
            for piece in pieces:
                seen += [(passed + end, unit.fingerprint) for end, unit in reader.feed(piece)]
                passed += len(piece)
        except BadBytesError:
            return "bad"
        return seen

    pieces, rest = [], data
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    assert read([data]) == read([*pieces, rest])


@given(st.binary(max_size=400))
def test_readers_refuse_bytes_in_one_way_only(data: bytes):
    for read in (
        Requests().feed,
        Answers().feed,
        first_packet,
        RequestReader().feed,
        lambda sent: AnswerReader().feed(sent, "GET"),
        lambda sent: RequestReader().feed(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + sent),
        lambda sent: AnswerReader().feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + sent, "GET"),
    ):
        with contextlib.suppress(BadBytesError):
            read(data)


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=6), st.lists(st.integers(1, 30), max_size=20))
@settings(max_examples=60)
def test_chunks_are_put_together_however_they_are_cut(parts: list[bytes], cuts: list[int]):
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    sent = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    reader, rest = AnswerReader(), sent
    for cut in [*cuts, len(sent)]:
        if rest[:cut]:
            reader.feed(rest[:cut], "GET")
        rest = rest[cut:]
    assert reader.done
    assert b"".join(reader.lines or []) == b"".join(parts)


def hostile(chance: random.Random) -> bytes:
    """Random, cut, huge, or a TLS hello where none is due."""
    noise = chance.randbytes(chance.randint(1, 600))
    kinds = (
        noise,
        STARTUP[: chance.randint(1, len(STARTUP))],
        SSL_REQUEST + noise,
        struct.pack(">II", chance.choice((0, 7, 2**31, 2**32 - 1)), 196_608) + noise,
        STARTUP + noise,
        STARTUP + framed(b"p", noise) + b"Q" + struct.pack(">I", 2**31) + noise,
        STARTUP + HELLO + noise,
        HELLO + noise,
        b"GET / HTTP/1.1\r\n" + noise,
        b"POST /echo HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n" + noise,
        b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n" + noise,
        b"",
    )
    return chance.choice(kinds)


def be_hostile(owner: Owner) -> None:
    chance = random.Random(42)
    for _ in range(CONNECTIONS):
        with socket.create_connection(("127.0.0.1", owner.port), 5) as raw, contextlib.suppress(OSError):
            raw.sendall(hostile(chance))
            raw.settimeout(0.002)
            raw.recv(10)
    until = time.monotonic() + 20
    while (status := owner.do(owner.proxy.control.status())).clients or status.ghosts or status.tasks:
        assert time.monotonic() < until, status
        time.sleep(0.05)


def test_a_thousand_hostile_connections_leave_the_ledger_proxy_as_it_was(ledger: Ledger):
    before = ledger.owner.do(ledger.owner.proxy.control.status())
    be_hostile(ledger.owner)
    with psycopg.connect(ledger.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    ledger.owner.reset()
    nothing_left(ledger.owner, before.descriptors)
    assert ledger.owner.do(ledger.owner.proxy.control.status()).memory_bytes - before.memory_bytes < 60_000_000


def test_a_thousand_hostile_connections_leave_the_broker_proxy_as_it_was(web: Web):
    before = web.owner.do(web.owner.proxy.control.status())
    be_hostile(web.owner)
    assert web.client.get("/echo").status_code == 200
    web.owner.reset()
    nothing_left(web.owner, before.descriptors)
    assert web.owner.do(web.owner.proxy.control.status()).memory_bytes - before.memory_bytes < 60_000_000


def nothing_left(owner: Owner, descriptors: int) -> None:
    status = owner.do(owner.proxy.control.status())
    assert (status.clients, status.servers, status.ghosts, status.tasks, status.held, status.armed) == (0,) * 6
    assert status.buffered_bytes == 0
    assert status.descriptors <= descriptors


@pytest.mark.parametrize("fault", [LoseRequest(), LoseAnswer(), Reset(), CleanClose()], ids=lambda f: str(f.strike))
def test_nothing_is_left_after_a_hundred_strikes_and_resets(ledger: Ledger, fault: Fault):
    url = f"{ledger.url}?sslmode=disable"
    with contextlib.suppress(psycopg.Error), psycopg.connect(url) as connection:
        connection.execute("SELECT 1")
    ledger.owner.reset()
    before = ledger.owner.do(ledger.owner.proxy.control.status())
    for _ in range(100):
        ledger.owner.arm(at(Direction.REQUEST, "BEGIN"), fault)
        with pytest.raises(psycopg.OperationalError), psycopg.connect(url) as connection:
            connection.execute("SELECT 1")
        assert ledger.owner.receipt().strike is fault.strike
        ledger.owner.reset()
    nothing_left(ledger.owner, before.descriptors)
    backends = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    assert ledger.ask(backends) == [(0,)]


def test_a_proxy_ends_with_its_owner(tmp_path: Path):
    path = tmp_path / "control"
    command = [sys.executable, "-m", "gates.chaos.proxies.http", "--upstream", "127.0.0.1:9", "--control", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        port = int(process.stdout.readline().rpartition(":")[2])
        assert path.stat().st_mode & 0o077 == 0
        with socket.socket(socket.AF_UNIX) as owner:
            owner.connect(os.fspath(path))
            owner.sendall(b'{"id": 1, "command": "status"}\nno json\n{"id": 2, "command": "dance"}\n')
            said = b""
            while said.count(b"\n") < 3:
                said += owner.recv(65_536)
            assert b"There is no command 'dance'" in said
            with socket.socket(socket.AF_UNIX) as second:
                second.connect(os.fspath(path))
                assert b"has an owner already" in second.recv(1_000)
        assert process.wait(10) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
    assert not path.exists()


def test_an_outcome_is_said_in_words():
    exchange = Exchange("COMMIT", "COMMIT", occurrence=1, outcome="ERROR 40001 I")
    told = said(Channel.LEDGER, *exchange.noted(Direction.ANSWER, 0, 1))
    assert told.label == "ledger: COMMIT refused with 40001"
