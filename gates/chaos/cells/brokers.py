"""The broker simulator of the cells: one process, an account for each cell, driven over its control port."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from gates.chaos.cells.ports import reserved_port
from gates.chaos.cells.processes import OwnedProcess
from gates.targets.rehearsal import cell_broker

BALANCE = "100000"
TIMEOUT_S = 5.0
READY_LIMIT_S = 20.0
PAUSE_S = 0.05


class SimulatorError(Exception):
    """The broker simulator refused or did not answer; the message holds its words."""


@dataclass(frozen=True, slots=True)
class Disarmed:
    """How many requests a fault has struck, and the first of them: method and path, and when (monotonic seconds)."""

    struck: int
    first: str
    first_at_s: float


class Simulator:
    """Accounts kept and returned to, and the broker's truth read directly, past every proxy."""

    def __init__(self, url: str, control_url: str, token: str) -> None:
        self.url = url
        self.token = token
        headers = {"Authorization": f"Bearer {token}"}
        self._control = httpx.AsyncClient(base_url=control_url, headers=headers, timeout=TIMEOUT_S, trust_env=False)
        self._broker = httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._control.aclose()
        await self._broker.aclose()

    async def wait_ready(self) -> None:
        """Wait until it answers. Raises SimulatorError after READY_LIMIT_S."""
        for _ in range(int(READY_LIMIT_S / PAUSE_S)):
            try:
                await self._asked(self._control, "GET", "/health")
            except SimulatorError:
                await asyncio.sleep(PAUSE_S)
            else:
                return
        raise SimulatorError(f"The broker simulator did not answer within {READY_LIMIT_S:.0f} s.")

    async def open_account(self, account: str) -> None:
        """Make an account, or start it afresh."""
        body = {"account_id": account, "balance": BALANCE, "currency": "USD"}
        await self._asked(self._control, "POST", "/accounts", body)

    async def keep(self, account: str) -> None:
        """Remember the account as it is now."""
        await self._asked(self._control, "POST", f"/accounts/{account}/keep")

    async def go_back(self, account: str) -> None:
        """Take the account back to what was kept."""
        await self._asked(self._control, "POST", f"/accounts/{account}/return")

    async def transactions(self, account: str) -> list[dict[str, Any]]:
        """The account's transactions, in order."""
        answer = await self._asked(self._broker, "GET", f"/v3/accounts/{account}/transactions/sinceid?id=0")
        return list(answer["transactions"])

    async def arm(self, account: str, kind: str, parameters: Mapping[str, Any]) -> int:
        """Arm a fault of the simulator's own on one account until it is disarmed; its number."""
        body = {"kind": kind, "path": f"/accounts/{account}/", **parameters}
        return int((await self._asked(self._control, "POST", "/faults", body))["id"])

    async def disarm(self, fault: int) -> Disarmed:
        """Disarm a fault; what it has struck."""
        told = await self._asked(self._control, "DELETE", f"/faults/{fault}")
        return Disarmed(int(told["struck"]), str(told.get("first", "")), float(told.get("first_at_s", 0)))

    async def _asked(
        self, client: httpx.AsyncClient, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        try:
            reply = await client.request(method, path, json=body)
            answer = reply.json()
        except (httpx.HTTPError, ValueError) as error:
            raise SimulatorError(f"The broker simulator does not answer {method} {path}: {error!r}.") from error
        if reply.is_success and isinstance(answer, dict):
            return answer
        raise SimulatorError(f"The broker simulator answered {method} {path} with {reply.status_code}: {answer}.")


@asynccontextmanager
async def running_simulator(folder: Path, *, number: int = 1) -> AsyncIterator[Simulator]:
    """A broker simulator that answers, for as long as the block runs; its log is in `folder`.

    `number` tells apart what runs at once. Raises SimulatorError, OSError.
    """
    token = secrets.token_urlsafe(16)
    with reserved_port(2 * number) as port, reserved_port(2 * number + 1) as control:
        ports = (port, control)
    broker = cell_broker(ports, token)
    process = OwnedProcess.start(broker.argv, env=os.environ | broker.env, log=folder / "broker.log")
    try:
        url, control_url = (f"http://127.0.0.1:{each}" for each in ports)
        async with Simulator(url, control_url, token) as simulator:
            await simulator.wait_ready()
            yield simulator
    finally:
        await process.kill()
        process.close()
