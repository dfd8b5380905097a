"""The target's process in a cell: started, asked for operations, waited for, killed."""

import asyncio
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from gates.chaos.cells.asking import by_command, by_ledger
from gates.chaos.cells.families import MARK
from gates.chaos.cells.hiding import hidden
from gates.chaos.cells.ports import is_held
from gates.chaos.cells.processes import Death, OwnedProcess
from gates.targets.asks import Ask
from gates.targets.pids import listener_of, port_here
from gates.targets.programs import Program

READY_PAUSE_S = 0.06
PROBE_TIMEOUT_S = 5.0
FOREGROUND = "Let it run in the foreground, or nothing can kill it exactly."
MOST_OF_A_TEXT = 300  # characters, as of the running target's
WELL = "ok"
IF_WELL = 'no reason; if that is well, add [process] health_by = "status code"'
# What a program may see of our own environment: where programs, libraries and a home are, and nothing secret.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "LD_LIBRARY_PATH")


class TargetNotReadyError(Exception):
    """The target did not become ready in its time, or ended while starting."""


class TargetEndedError(TargetNotReadyError):
    """The target's process has ended, though nothing of ours ended it."""


class OutlivedError(Exception):
    """Something of the target outlived its kill: it was not killed at that message."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from asking for an operation; `status` is None where no answer came, `took_ms` until then."""

    status: int | None
    body: Mapping[str, Any]
    took_ms: float

    @property
    def success(self) -> bool:
        """Whether the target said that it was done."""
        return self.status is not None and 200 <= self.status < 300


class TargetProcess:
    """One program, filled in for one cell. At most one process of it runs at a time.

    `build` is what its last good `ready` answer showed, empty where it showed none.
    """

    def __init__(self, program: Program, log: Path) -> None:
        self.program = program
        self.log = log
        self.process: OwnedProcess | None = None
        self.ledger_url = ""  # of its own database, past the proxy
        self.secrets: tuple[str, ...] = program.secrets  # hidden in what it says
        self._answers_itself = False
        self.build = ""
        self._client = httpx.AsyncClient(trust_env=False)

    async def close(self) -> None:
        """Kill what runs, give everything back."""
        if self.process is not None:
            with suppress(OutlivedError):
                await self.kill()
        await self._client.aclose()

    def start(self) -> None:
        """Start the process. Raises OSError, and TargetNotReadyError where one runs already or answers in its place."""
        if self.process is not None:
            raise TargetNotReadyError("The target runs already; it is started once at a time.")
        if (left := self.still_listening()) is not None:
            raise TargetNotReadyError(f"The target cannot be started: {_who(left)} still answers in its place.")
        self.build = ""
        command, folder = self.program.command, self.program.folder
        self.process = OwnedProcess.start(command, env=self._environment(), log=self.log, cwd=folder)

    @property
    def alive(self) -> bool:
        """Whether a process of it runs."""
        return self.process is not None and self.process.alive

    async def wait_ready(self, limit_s: float) -> float:
        """Wait until it says that it is ready; the milliseconds that took. Raises TargetNotReadyError."""
        began = time.monotonic()
        words = ""
        while time.monotonic() - began < limit_s:
            words = await self.unwell()
            if not words:
                self._demand_that_it_answers_itself()
                return round((time.monotonic() - began) * 1000, 1)
            await asyncio.sleep(READY_PAUSE_S)
        raise TargetNotReadyError(f"The target was not ready within {limit_s:.0f} s: {words}")

    def _demand_that_it_answers_itself(self) -> None:
        """Once, where it can be seen: whoever answers is its process or a descendant. Raises TargetNotReadyError."""
        if self._answers_itself or self.process is None:
            return
        who = listener_of(self.program.ready)
        if who not in (None, self.process.pid) and who not in {pid for pid, _ in self.process.family()}:
            raise TargetNotReadyError(f"{_who(who or 0).capitalize()} answers in the target's place. {FOREGROUND}")
        self._answers_itself = True

    async def unwell(self) -> str:
        """Why it is not well, in words; empty when it is. Raises TargetEndedError when it has ended.

        Of an answer of 200 that is a JSON object with a `status`, that must be `ok`, unless the code alone counts.
        """
        if self.process is None or not self.process.alive:
            raise TargetEndedError(f"The target has ended: {self._why_ended()}")
        try:
            reply = await self._client.get(self.program.ready, timeout=PROBE_TIMEOUT_S)
        except httpx.HTTPError:
            return "it does not answer"
        if reply.status_code != httpx.codes.OK:
            return f"it answers {reply.status_code}: {hidden(reply.text, self.secrets)[:200]}"
        told = _told_in(reply)
        if not self.program.by_status_code and "status" in told and _text(told["status"]) != WELL:
            words = f"{_text(told['status']) or 'nothing'}: {_text(told.get('reason')) or IF_WELL}"
            return f"it says {hidden(words, self.secrets)[:200]}"
        self.build = _text(told.get("build"))
        return ""

    def _why_ended(self) -> str:
        if listener_of(self.program.ready) is not None:
            return f"it forked away from its leader. {FOREGROUND}"
        return self.last_words()

    async def ask(self, operation: str) -> Answer:
        """Ask for an operation and wait for the answer, as long as it may take; no answer is an answer too."""
        ask = self.program.operations[operation]
        began = time.monotonic()
        if self.process is None or not self.alive:
            status, body = None, {"error": "the target does not run"}
        elif ask.command:
            marked = self._environment() | {MARK: self.process.mark}  # it may do the work itself: a kill ends it too
            status, body = await by_command(ask, marked, self.log, self.program.folder)
        elif ask.done:
            status, body = await by_ledger(ask, self.ledger_url, lambda: self.alive)
        else:
            status, body = await self._post(ask)
        return Answer(status, body, round((time.monotonic() - began) * 1000, 1))

    async def _post(self, ask: Ask) -> tuple[int | None, dict[str, Any]]:
        try:
            reply = await self._client.post(ask.post, json=dict(ask.body), timeout=ask.limit_s)
        except httpx.HTTPError as error:
            return None, {"error": f"{type(error).__name__}: {error}"}
        try:
            body = reply.json()
        except ValueError:
            body = {}
        return reply.status_code, body if isinstance(body, dict) else {}

    def _environment(self) -> dict[str, str]:
        return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | dict(self.program.environment)

    async def kill(self) -> Death:
        """SIGKILL it, with whoever works for it by a command, and wait until all are dead.

        Raises OutlivedError where somebody still answers in its place.
        """
        death = await self._over("kill")
        if (left := self.still_listening()) is not None:
            raise OutlivedError(f"No receipt: {_who(left)} outlived the kill. What the target starts must end with it.")
        return death

    async def end(self) -> Death:
        """Ask it to end; kill it when it does not."""
        return await self._over("end")

    async def _over(self, how: str) -> Death:
        process = self.process
        if process is None:
            raise TargetNotReadyError("The target does not run: there is nothing to end.")
        death = await (process.kill() if how == "kill" else process.end(self.program.stop_limit_s))
        process.close()
        self.process = None
        return death

    def still_listening(self) -> int | None:
        """Who listens where it says that it is ready, though it has ended: its number, 0 where it cannot be seen."""
        port = port_here(self.program.ready)
        return None if port is None or not is_held(port) else listener_of(self.program.ready) or 0

    async def still_answers(self) -> bool:
        """Whether it is well where it says that it is ready, wherever that is, though it has ended."""
        try:
            return (await self._client.get(self.program.ready, timeout=PROBE_TIMEOUT_S)).is_success
        except httpx.HTTPError:
            return False

    def forget(self) -> None:
        """Begin the log anew."""
        self.log.write_bytes(b"")

    def last_words(self, characters: int = 400) -> str:
        """The end of its log, without the secrets that it was given."""
        try:
            said = hidden(self.log.read_text(errors="replace"), self.secrets)
            return said[-characters:].strip() or "nothing was logged"
        except OSError:
            return "nothing was logged"


def _who(pid: int) -> str:
    return f"process {pid}" if pid else "a process that is not ours to see"


def _told_in(reply: httpx.Response) -> Mapping[str, Any]:
    """What an answer tells of the target, read as `gates.checks.health` reads that of the running one; empty where it
    is no JSON object.
    """
    try:
        told = reply.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _text(value: object) -> str:
    return "" if value is None else str(value).replace("\0", "").strip()[:MOST_OF_A_TEXT]
