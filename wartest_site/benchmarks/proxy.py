"""What a proxy of ours adds to a round trip, beside HAProxy and mitmproxy where they are installed.

Each way is measured in turns of 20 round trips, so that a busy machine is busy for all of them: on the ledger's wire
`SELECT 1` against a real PostgreSQL, over HTTP a small request against a server that answers at once. HAProxy relays
TCP, without understanding it; mitmproxy's `mitmdump` is a reverse proxy for HTTP. Ours records every message and has
nothing armed; `armed` is the same while a fault waits for another message. `--scale` counts round trips per way.

Added latency is the difference of the quantiles to the direct way. Memory is the resident set of the process with 1,000
open connections, and how much of it came with them. Not measured: TLS, throughput.
"""

import asyncio
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import psutil
import psycopg

from gates.chaos.faults import Delay
from gates.chaos.messages import Channel, Direction, Point
from gates.chaos.proxies.launching import Proxy, Wire, running_proxy
from wartest_site.benchmarks import Figures, Say
from wartest_site.embedded.children import CannotStartError, free_port
from wartest_site.embedded.postgres import running_postgres

SCALE = 3_000
TURN = 20
WARM_UP = 200
CONNECTIONS = 1_000
START_LIMIT_S = 30
HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
MITMDUMP = shutil.which("mitmdump")
HTTP_REQUEST = b"GET /v3/accounts/101-001-1-001/summary HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer x\r\n\r\n"
STARTUP = b"\0\0\0\x15\0\3\0\0user\0bench\0\0\0"
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
ELSEWHERE = Point(Channel.LEDGER, Direction.REQUEST, "never said", 1)

LEDGER = {"direct": "pg_direct", "ours": "pg", "armed": "pg_armed", "haproxy": "haproxy"}
HTTP = {"direct": "http_direct", "ours": "http", "haproxy": "http_haproxy"}

RoundTrip = Callable[[], None]


def measure(scale: int, say: Say) -> Figures:
    """Return p50 and p99 of each way in µs, what each peer adds, and the ratios that matter."""
    for name, found in (("haproxy", HAPROXY), ("mitmdump", MITMDUMP)):
        if found is None:
            say(f"{name} is not installed: its figures are left out")
    return asyncio.run(_measure(scale, say))


async def _measure(scale: int, say: Say) -> Figures:
    figures = await _ledger(scale, say)
    figures |= await _broker(scale, say)
    return figures | await _memory(say)


async def _ledger(scale: int, say: Say) -> Figures:
    say(f"the ledger's wire: {scale:,} round trips each way")
    with tempfile.TemporaryDirectory(prefix="wartest-bench-") as home, running_postgres(Path(home)) as server:
        async with running_proxy("postgres", f"127.0.0.1:{server.port}") as proxy, _armed(server.port) as armed:
            with ExitStack() as peers:
                ports = {"direct": server.port, "ours": proxy.port, "armed": armed.port}
                if HAPROXY:
                    ports["haproxy"] = peers.enter_context(_haproxy(server.port))
                ways: dict[str, RoundTrip] = {}
                for name, port in ports.items():
                    url = f"{server.url().replace(f':{server.port}/', f':{port}/')}?sslmode=disable"
                    connection = peers.enter_context(psycopg.connect(url, autocommit=True))
                    ways[name] = _select(connection)
                return _compared(LEDGER, await asyncio.to_thread(_in_turns, ways, scale))


async def _broker(scale: int, say: Say) -> Figures:
    say(f"HTTP: {scale:,} round trips each way")
    with _answering("http") as port, ExitStack() as peers:
        async with running_proxy("http", f"127.0.0.1:{port}") as proxy:
            ports = {"direct": port, "ours": proxy.port}
            if HAPROXY:
                ports["haproxy"] = peers.enter_context(_haproxy(port))
            ways = {name: _get(peers.enter_context(_connected(port))) for name, port in ports.items()}
            figures = _compared(HTTP, await asyncio.to_thread(_in_turns, ways, scale))
    ours = (figures["http_added_p50_us"], figures["http_added_p99_us"])
    return figures | (await _mitmproxy_beside(scale, ours) if MITMDUMP else {})


async def _mitmproxy_beside(scale: int, ours: tuple[float, float]) -> Figures:
    """mitmproxy against the direct way, after the others: while it runs, whoever has the processors next is slowed."""
    with _answering("http") as port, _mitmproxy(port) as through, ExitStack() as peers:
        ports = {"direct": port, "mitmproxy": through}
        ways = {name: _get(peers.enter_context(_connected(port))) for name, port in ports.items()}
        taken = await asyncio.to_thread(_in_turns, ways, scale)
    (direct50, direct99), (p50, p99) = _quantiles(taken["direct"]), _quantiles(taken["mitmproxy"])
    added = (p50 - direct50, p99 - direct99)
    return {
        "mitmproxy_added_p50_us": round(added[0], 1),
        "mitmproxy_added_p99_us": round(added[1], 1),
        **_over("http_over_mitmproxy", ours, added),
    }


async def _memory(say: Say) -> Figures:
    say(f"memory with {CONNECTIONS:,} connections")
    figures: Figures = {}
    firsts: dict[Wire, bytes] = {"postgres": STARTUP, "http": HTTP_REQUEST}
    for wire, first in firsts.items():
        with _answering(wire) as port:
            async with running_proxy(wire, f"127.0.0.1:{port}") as proxy:
                figures |= await asyncio.to_thread(_held, f"{wire}_ours", proxy.process.pid, proxy.port, first)
            if HAPROXY:
                with _haproxy(port) as through:
                    pid = _listening_pid(through)
                    figures |= await asyncio.to_thread(_held, f"{wire}_haproxy", pid, through, first)
    return figures


def _in_turns(ways: dict[str, RoundTrip], scale: int) -> dict[str, list[float]]:
    """Latencies in µs of each way."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for ask in ways.values():
        for _ in range(WARM_UP):
            ask()
    for _ in range(max(1, scale // TURN)):
        for name, ask in ways.items():
            for _ in range(min(TURN, scale)):
                began = time.perf_counter()
                ask()
                taken[name].append((time.perf_counter() - began) * 1e6)
    return taken


def _compared(names: dict[str, str], taken: dict[str, list[float]]) -> Figures:
    """The figures of one wire; `names` says how those of each way begin."""
    figures: Figures = {}
    quantiles = {name: _quantiles(latencies) for name, latencies in taken.items()}
    for name, (p50, p99) in quantiles.items():
        figures[f"{names[name]}_p50_us"], figures[f"{names[name]}_p99_us"] = round(p50, 1), round(p99, 1)
    direct = quantiles.pop("direct")
    added = {name: (found[0] - direct[0], found[1] - direct[1]) for name, found in quantiles.items()}
    for name, (p50, p99) in added.items():
        figures[f"{names[name]}_added_p50_us"], figures[f"{names[name]}_added_p99_us"] = round(p50, 1), round(p99, 1)
    if "haproxy" in added:
        figures |= _over(f"{names['ours']}_over_haproxy", added["ours"], added["haproxy"])
    return figures


def _over(name: str, ours: tuple[float, float], peer: tuple[float, float]) -> Figures:
    """What ours adds over what the peer adds, p50 and p99; none where the peer was not seen to add anything."""
    both = zip(("p50", "p99"), ours, peer, strict=True)
    return {f"{name}_{which}": round(mine / theirs, 2) for which, mine, theirs in both if theirs > 0}


def _quantiles(latencies: list[float]) -> tuple[float, float]:
    return statistics.median(latencies), statistics.quantiles(latencies, n=100)[98]


def _select(connection: psycopg.Connection) -> RoundTrip:
    ask = connection.pgconn.exec_
    return lambda: ask(b"SELECT 1").clear()


def _get(connected: socket.socket) -> RoundTrip:
    def ask() -> None:
        connected.sendall(HTTP_REQUEST)
        _whole_answer(connected)

    return ask


def _whole_answer(connected: socket.socket) -> bytes:
    """Read an answer to its last byte: a proxy may send head and body apart. Raises CannotStartError."""
    got, wanted = b"", 0
    while not wanted or len(got) < wanted:
        part = connected.recv(65_536)
        if not part:
            raise CannotStartError("A server of the benchmark hung up; try again")
        got += part
        head, ended, _ = got.partition(b"\r\n\r\n")
        if ended and not wanted:
            length = LENGTH.search(head)
            if length is None:
                raise CannotStartError("A server of the benchmark did not say how long its answer is")
            wanted = len(head) + len(ended) + int(length[1])
    return got


def _held(name: str, pid: int, port: int, first: bytes) -> Figures:
    """MiB that a process holds with so many connections that have said something, and what it grew by for them."""
    process = psutil.Process(pid)
    with ExitStack() as open_ones:
        open_ones.enter_context(_connected(port))
        before = process.memory_info().rss
        for _ in range(CONNECTIONS):
            connected = open_ones.enter_context(_connected(port))
            connected.sendall(first)
            connected.recv(65_536)
        held = process.memory_info().rss
    return {f"{name}_mib": round(held / 2**20, 1), f"{name}_grown_mib": round((held - before) / 2**20, 1)}


@asynccontextmanager
async def _armed(port: int) -> AsyncIterator[Proxy]:
    async with running_proxy("postgres", f"127.0.0.1:{port}") as proxy:
        await proxy.control.arm(ELSEWHERE, Delay(delay_ms=1))
        yield proxy


@contextmanager
def _answering(wire: str) -> Iterator[int]:
    command = [sys.executable, "-m", "wartest_site.benchmarks.answering", wire]
    with _running(command, stdout=subprocess.PIPE) as process:
        yield int(process.stdout.readline()) if process.stdout else 0


@contextmanager
def _haproxy(upstream: int) -> Iterator[int]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder) / "haproxy.cfg"
        conf.write_text(
            "global\n  maxconn 4000\n"
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n"
            f"listen all\n  bind 127.0.0.1:{port}\n  server one 127.0.0.1:{upstream}\n"
        )
        with _running([str(HAPROXY), "-db", "-f", str(conf)]):
            _await_port(port)
            yield port


@contextmanager
def _mitmproxy(upstream: int) -> Iterator[int]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        options = [
            "--mode",
            f"reverse:http://127.0.0.1:{upstream}",
            "--listen-host",
            "127.0.0.1",
            "-p",
            str(port),
            "-q",
        ]
        with _running([str(MITMDUMP), *options, "-p", str(port), "--set", f"confdir={folder}"]):
            _await_port(port)
            yield port


@contextmanager
def _running(command: list[str], stdout: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.DEVNULL)  # noqa: S603  argv is ours
    try:
        yield process
    finally:
        process.terminate()
        process.wait(START_LIMIT_S)
        if process.stdout:
            process.stdout.close()


def _connected(port: int) -> socket.socket:
    connected = socket.create_connection(("127.0.0.1", port), 10)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


def _await_port(port: int) -> None:
    """Raises CannotStartError."""
    until = time.monotonic() + START_LIMIT_S
    while time.monotonic() < until:
        try:
            _connected(port).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise CannotStartError(f"A peer of the benchmark did not listen within {START_LIMIT_S} s")


def _listening_pid(port: int) -> int:
    """The process that listens on a port."""
    for found in psutil.net_connections("tcp4"):
        if found.status == psutil.CONN_LISTEN and found.laddr.port == port and found.pid:
            return found.pid
    raise CannotStartError("The process of a peer could not be found")
