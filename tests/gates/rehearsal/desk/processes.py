"""Real broker and desk processes for the tests, each on a free port of loopback."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from .transactions import ACCOUNT

ROOT = Path(__file__).parents[4]
TOKEN = "rehearsal-token"
READY_LIMIT_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], Any], *, what: str, limit_s: float = READY_LIMIT_S) -> Any:
    """The first true answer of `condition`; fails the test after `limit_s`."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {limit_s} s: {what}")


@dataclass
class BrokerProcess:
    """A running broker simulator."""

    process: subprocess.Popen[bytes]
    port: int
    control_port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **params: str) -> dict[str, Any]:
        url = f"{self.url}/v3/accounts/{ACCOUNT}{path}"
        reply = httpx.get(url, params=params, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False)
        reply.raise_for_status()
        return dict(reply.json())

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A write past the desk, as by another hand on the same account."""
        reply = httpx.request(
            method,
            f"{self.url}/v3/accounts/{ACCOUNT}{path}",
            json=body,
            headers={"Authorization": f"Bearer {TOKEN}"},
            trust_env=False,
        )
        reply.raise_for_status()
        return dict(reply.json())

    def control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        reply = httpx.request(
            method,
            f"http://127.0.0.1:{self.control_port}{path}",
            json=body,
            headers={"Authorization": f"Bearer {TOKEN}"},
            trust_env=False,
        )
        reply.raise_for_status()
        return reply


@dataclass
class DeskProcess:
    """A running desk."""

    process: subprocess.Popen[bytes]
    port: int

    def health(self) -> httpx.Response | None:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=5, trust_env=False)
        except httpx.HTTPError:
            return None

    def is_well(self) -> bool:
        reply = self.health()
        return reply is not None and reply.status_code == 200

    def ask(self, operation: str, **body: Any) -> httpx.Response:
        url = f"http://127.0.0.1:{self.port}/operations/{operation}"
        return httpx.post(url, json=body, timeout=20, trust_env=False)


@contextmanager
def running_broker(
    *arguments: str, port: int | None = None, control_port: int | None = None
) -> Iterator[BrokerProcess]:
    port, control_port = port or free_port(), control_port or free_port()
    ports = ("--port", str(port), "--control-port", str(control_port))
    command = (sys.executable, "-m", "gates.rehearsal.broker", *ports, "--account", ACCOUNT, *arguments)
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "BROKER_TOKEN": TOKEN})
    broker = BrokerProcess(process, port, control_port)
    try:
        wait_until(lambda: _answers(broker), what="the broker answers")
        yield broker
    finally:
        end(process)


@contextmanager
def running_desk(database_url: str, broker_url: str, *arguments: str, port: int | None = None) -> Iterator[DeskProcess]:
    port = port or free_port()
    command = (sys.executable, "-m", "gates.rehearsal.desk", "--port", str(port), *arguments)
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "OANDA_URL": broker_url,
        "OANDA_TOKEN": TOKEN,
        "OANDA_ACCOUNT_ID": ACCOUNT,
    }
    desk = DeskProcess(subprocess.Popen(command, cwd=ROOT, env=environment), port)
    try:
        wait_until(desk.health, what="the desk answers")
        yield desk
    finally:
        end(desk.process)


def end(process: subprocess.Popen[bytes]) -> float:
    """Asks the process to end, kills it after 5 s; the seconds it took."""
    asked = time.monotonic()
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
    return time.monotonic() - asked


def _answers(broker: BrokerProcess) -> bool:
    try:
        return bool(broker.get("/summary"))
    except httpx.HTTPError:
        return False
