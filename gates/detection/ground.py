"""The ground of a rehearsal: one broker, and a desk on books and an account of its own for each defect."""

import dataclasses
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from gates.checks import health
from gates.targets.access import Access
from gates.targets.processes import ProcessSpec
from gates.targets.rehearsal import RehearsalPorts, rehearsal_processes

TOKEN = "rehearsal-token"  # noqa: S105  of a broker on loopback that lives as long as this process
READY_LIMIT_S = 60.0
ANSWER_LIMIT_S = 5.0
PAUSE_S = 0.05
BROKER = ("--no-feed", "--tick-ms", "50", "--volatility-pips", "1.0", "--seed", "7", "--commission-per-million", "50")
QUIET = ("--no-trading",)
LIVELY = ("--trade-every-s", "0.2", "--stop-pips", "2", "--take-profit-pips", "2", "--reconcile-every-s", "1")
OPENING_PRICES = (
    {"instrument": "EUR_USD", "bid": "1.10000", "ask": "1.10010"},
    {"instrument": "GBP_USD", "bid": "1.26990", "ask": "1.27000"},
    {"instrument": "USD_JPY", "bid": "150.000", "ask": "150.010"},
)

Start = Callable[[ProcessSpec, Path], "subprocess.Popen[bytes]"]


class GroundError(Exception):
    """Something needed did not start or answer; the message is one sentence."""


@dataclass
class Ground:
    """What every rehearsal shares. `start` runs a process, its output in a file; `database` makes an empty one."""

    home: Path
    start: Start
    database: Callable[[str], str]
    free_port: Callable[[], int]
    broker: subprocess.Popen[bytes] | None = None
    _accounts: int = 0

    def __post_init__(self) -> None:
        self.ports = RehearsalPorts(self.free_port(), self.free_port(), self.free_port())

    @contextmanager
    def running(self) -> Iterator["Ground"]:
        """Run the broker for as long as the block lasts."""
        spec, _ = rehearsal_processes(self.home, self.ports, "", TOKEN)
        plain = spec.argv[: spec.argv.index("--journal")]
        self.broker = self.start(dataclasses.replace(spec, argv=(*plain, *BROKER)), self.home / "broker.log")
        try:
            wait_until(lambda: self.control("GET", "/health"), self.broker, what="the broker")
            yield self
        finally:
            end(self.broker)

    def control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response | None:
        """Ask the broker's control port; None where it does not answer."""
        url = f"http://127.0.0.1:{self.ports.control}{path}"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with suppress(httpx.HTTPError):
            return httpx.request(method, url, json=body, headers=headers, timeout=5, trust_env=False)
        return None

    def told(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> None:
        """Have the broker do something by its control port. Raises GroundError where it does not."""
        answer = self.control(method, path, body)
        if answer is None or not answer.is_success:
            said = "no answer" if answer is None else f"{answer.status_code} {answer.text[:200]}"
            raise GroundError(f"The broker did not carry out {method} {path}: {said}.")

    @contextmanager
    def desk(self, defects: tuple[str, ...], *, trading: bool, arguments: tuple[str, ...] = ()) -> Iterator["Desk"]:
        """A desk with these defects on new books and a new account; market and faults as at the beginning."""
        self._accounts += 1
        account = f"101-001-{os.getpid():07d}-{self._accounts:03d}"
        self.told("DELETE", "/faults")
        self.told("POST", "/feed", {"running": False})
        for price in OPENING_PRICES:
            self.told("POST", "/ticks", price)
        if trading:
            self.told("POST", "/feed", {"running": True})
        self.told("POST", "/accounts", {"account_id": account, "balance": "100000", "currency": "USD"})
        url = self.database(f"desk_{uuid.uuid4().hex[:12]}")
        planted = tuple(part for name in defects for part in ("--defect", name))
        desk = Desk(self, account, url, (*(LIVELY if trading else QUIET), *planted, *arguments), self.free_port())
        try:
            desk.begin()
            yield desk
        finally:
            desk.kill()
            self.control("DELETE", "/faults")


@dataclass
class Desk:
    """One desk: killed and started again on the same books, asked, and reached by the checks.

    `baseline` tells apart the process that was started last, as a run of gate 1 keeps it.
    """

    ground: Ground
    account: str
    database_url: str
    arguments: tuple[str, ...]
    port: int
    process: subprocess.Popen[bytes] | None = None
    baseline: dict[str, Any] = field(default_factory=dict)

    @property
    def access(self) -> Access:
        """How the checks reach it."""
        return Access(
            ledger_url=self.database_url,
            ledger_schema="wartest",
            broker_url=f"http://127.0.0.1:{self.ground.ports.broker}",
            broker_account=self.account,
            broker_token=TOKEN,
            health_url=f"http://127.0.0.1:{self.port}/health",
        )

    @property
    def log(self) -> Path:
        """What it writes, over all its lives."""
        return self.ground.home / f"desk-{self.account}.log"

    def begin(self, *, well: bool = True) -> None:
        """Start it and wait until it answers, or until it is `well`. Raises GroundError."""
        ports = dataclasses.replace(self.ground.ports, desk=self.port)
        _, spec = rehearsal_processes(self.ground.home, ports, self.database_url, TOKEN)
        env = spec.env | {"OANDA_ACCOUNT_ID": self.account}
        spec = dataclasses.replace(spec, argv=(*spec.argv, *self.arguments), env=env)
        self.process = self.ground.start(spec, self.log)
        wait_until(self.is_well if well else self.health, self.process, what=f"the desk {' '.join(self.arguments)}")
        seen = health.observe(self.access)
        self.baseline = {key: seen[key] for key in (*health.IDENTITY, *health.MAY_TELL) if seen.get(key) is not None}

    def health(self) -> httpx.Response | None:
        """Its answer, or None."""
        with suppress(httpx.HTTPError):
            return httpx.get(self.access.health_url, timeout=5, trust_env=False)
        return None

    def is_well(self) -> bool:
        """Whether it says so."""
        answer = self.health()
        return answer is not None and answer.status_code == 200

    def ask(self, operation: str, body: Mapping[str, Any]) -> str:
        """Ask for an operation; what it answered, in words. No answer is an answer too."""
        url = f"http://127.0.0.1:{self.port}/operations/{operation}"
        try:
            answer = httpx.post(url, json=dict(body), timeout=ANSWER_LIMIT_S, trust_env=False)
        except httpx.HTTPError as error:
            return f"{type(error).__name__}"
        return f"{answer.status_code} {answer.text}"

    def trade(self, *, running: bool) -> None:
        """Turn the switch of its own trading. Raises GroundError where it does not obey."""
        url = f"http://127.0.0.1:{self.port}/trading"
        try:
            answer = httpx.post(url, json={"running": running}, timeout=ANSWER_LIMIT_S, trust_env=False)
            obeys = answer.is_success and answer.json() == {"trading": running}
        except (httpx.HTTPError, ValueError):
            obeys = False
        if not obeys:
            raise GroundError("The desk does not obey the switch of its trading.")

    def kill(self) -> None:
        """SIGKILL, and wait for its death."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10)


def wait_until(condition: Callable[[], Any], process: "subprocess.Popen[bytes]", *, what: str) -> None:
    """Wait for a true answer, at most READY_LIMIT_S. Raises GroundError; at once when the process is dead."""
    deadline = time.monotonic() + READY_LIMIT_S
    while not condition():
        if process.poll() is not None:
            raise GroundError(f"{what} ended with {process.returncode} before it was ready.")
        if time.monotonic() > deadline:
            raise GroundError(f"{what} was not ready within {READY_LIMIT_S:.0f} s.")
        time.sleep(PAUSE_S)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ask it to end; kill it after 5 s."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
