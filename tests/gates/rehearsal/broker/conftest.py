"""A real broker process on free ports, shared by the tests of a session."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import httpx
import pytest

TOKEN = "a-token-of-the-tests"
START_S = 20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Broker:
    """A running broker: its process, ports, and clients for both."""

    process: subprocess.Popen[bytes]
    port: int
    control_port: int
    v3: httpx.Client
    control: httpx.Client

    def fresh_account(self, balance: str = "100000", currency: str = "USD") -> str:
        account_id = f"101-001-0000001-{next(_numbers):03d}"
        answer = self.control.post(
            "/accounts", json={"account_id": account_id, "balance": balance, "currency": currency}
        )
        assert answer.status_code == 201, answer.text
        return account_id

    def tick(self, instrument: str, bid: str, ask: str) -> None:
        answer = self.control.post("/ticks", json={"instrument": instrument, "bid": bid, "ask": ask})
        assert answer.status_code == 200, answer.text


_numbers = count(2)


@contextmanager
def running_broker(*options: str, ports: tuple[int, int] | None = None) -> Iterator[Broker]:
    port, control_port = ports or (free_port(), free_port())
    command = [sys.executable, "-m", "gates.rehearsal.broker", "--port", str(port)]
    command += ["--control-port", str(control_port), *options]
    process = subprocess.Popen(command, env={**os.environ, "BROKER_TOKEN": TOKEN})
    headers = {"Authorization": f"Bearer {TOKEN}"}
    try:
        with (
            httpx.Client(base_url=f"http://127.0.0.1:{port}/v3", headers=headers, timeout=10) as v3,
            httpx.Client(base_url=f"http://127.0.0.1:{control_port}", headers=headers, timeout=10) as control,
        ):
            broker = Broker(process, port, control_port, v3, control)
            _await_health(broker)
            yield broker
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


def _await_health(broker: Broker) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        assert broker.process.poll() is None, "the broker ended at once"
        try:
            broker.v3.get("/accounts")
            if broker.control.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the broker did not start")


@pytest.fixture(scope="session")
def still_broker() -> Iterator[Broker]:
    """A broker whose prices move by hand only."""
    with running_broker("--no-feed") as broker:
        yield broker


@pytest.fixture
def broker(still_broker: Broker) -> Broker:
    """The shared broker with no fault armed and EUR_USD at its opening price."""
    still_broker.control.delete("/faults")
    still_broker.tick("EUR_USD", "1.09994", "1.10006")
    return still_broker
