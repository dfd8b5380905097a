"""A user's Chaos Toolkit experiment as a strike: its method begins as the operation is asked for.

It learns of the cell by variables of its environment, which its `configuration` may name: `WARTEST_TARGET_PID`,
`WARTEST_LEDGER_URL`, `WARTEST_BROKER_URL` (both past the proxies) and `WARTEST_READY_URL`. It undoes by its `rollbacks`
what it breaks, also where we die beside it; what it kills is started again. Its journal is the receipt; the verdict is
the audit's, as after any strike, and failed too where the experiment's own steady state has deviated.
"""

import asyncio
import hashlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from gates.chaos.cells.cell import Cell
from gates.chaos.cells.families import MARK
from gates.chaos.cells.hiding import hidden
from gates.chaos.cells.processes import NOBODY, dying_with_us, end_all
from gates.chaos.cells.target import PASSED_ON
from gates.chaos.messages import Point, Proof, Receipt, Strike
from gates.chaos.strikes.striking import Asked, Follow, Seen, Striker
from gates.chaos.toolkit import GO, READY
from gates.chaos.trials import Trial

ROOT = Path(__file__).parents[3]
JOURNAL_BYTES = 256 * 1024
END_LIMIT_S = 5.0
WORDS = 300
HTTP_REFUSALS = 400  # from this status on


@asynccontextmanager
async def experiment(cell: Cell, trial: Trial, point: Point) -> AsyncIterator[Follow]:
    """Its steady state is met first; where it is not, nothing is struck and there is no receipt."""
    path, limit_s = Path(str(trial.parameters["experiment"])), trial.lasting_s
    with tempfile.TemporaryDirectory(prefix="experiment-", dir=cell.premises.folder) as folder:
        journal = Path(folder) / "journal.json"
        argv = (sys.executable, "-m", "gates.chaos.toolkit", str(path), str(journal))
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=ROOT,
            env=_surroundings(cell) | {MARK: cell.experiment_mark},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            process_group=0,
            preexec_fn=dying_with_us(signal.SIGTERM),  # asked to end, it rolls back
        )
        running = Running(process, path, journal, time.monotonic() + limit_s)
        try:
            await running.wait_ready()
            yield lambda asked: running.follow(cell, asked)
        finally:
            await running.end(cell.experiment_mark)


class Running:
    """One experiment that is going on, until `ends` (monotonic seconds) at most."""

    def __init__(self, process: asyncio.subprocess.Process, path: Path, journal: Path, ends: float) -> None:
        self._process = process
        self._path = path
        self._journal = journal
        self._ends = ends
        self._errors = asyncio.create_task(_last_of(process.stderr))
        self._ready = False

    async def wait_ready(self) -> None:
        """Until its method may begin, or it has ended without one."""
        said = self._process.stdout
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._loop_end()):
                while said and (line := await said.readline()):
                    if line.strip() == READY.encode():
                        self._ready = True
                        return

    async def follow(self, cell: Cell, asked: Asked) -> Seen:
        """Let the method begin, wait for the end of all of it, and read the journal.

        One that has begun and is no receipt may have left something, whatever became of its rollbacks.
        """
        began = time.monotonic()
        if self._ready and self._process.stdin is not None:
            with suppress(ConnectionError):
                self._process.stdin.write(f"{GO}\n".encode())
                await self._process.stdin.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._loop_end()):
                await self._process.wait()
        seen = await self._over(began, cell)
        return replace(seen, leaves=self._ready and seen.receipt is None)

    async def _over(self, began: float, cell: Cell) -> Seen:
        if self._process.returncode is None:
            late = "was not over within its limit_ms: undo by hand what its rollbacks have not"
            return Seen(None, began, f"No receipt: {self._path.name} {late}.")
        if not cell.target.alive:
            await _bury(cell)
        if self._process.returncode != 0:
            words = (await self._errors).strip().splitlines() or ["it wrote no journal"]
            by_hand = "; undo by hand what it left" if self._ready else ""
            return Seen(None, began, f"No receipt: {hidden(words[-1], cell.secrets)[:WORDS]}{by_hand}")
        return await asyncio.to_thread(self._seen, began, cell)

    def _seen(self, began: float, cell: Cell) -> Seen:
        text = self._journal.read_text()
        journal = json.loads(text)
        words = unproven(journal)
        if not words and len(text) > JOURNAL_BYTES:
            words = f"its journal is larger than {JOURNAL_BYTES} bytes"
        if words:
            return Seen(None, began, f"No receipt: {self._path.name}: {words}.")
        proof: Proof = {
            "experiment": self._path.name,
            "experiment_sha256": hashlib.sha256(self._path.read_bytes()).hexdigest(),
            "deviated": bool(journal["deviated"]),
            "experiment_ms": round((time.monotonic() - began) * 1000, 1),
            "journal": hidden(text, cell.secrets),
        }
        return Seen(Receipt(Strike.EXPERIMENT, None, time.monotonic(), proof), time.monotonic())

    async def end(self, mark: str) -> None:
        """Ask it to end, so that it rolls back; then kill it with all that it has started, by its mark: its number may
        be another's by now. Raises TimeoutError where that lives on.
        """
        for wanted in (signal.SIGTERM, signal.SIGKILL):
            if self._process.returncode is None:
                with suppress(ProcessLookupError):
                    self._process.send_signal(wanted)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._process.wait(), END_LIMIT_S)
        try:
            await end_all((NOBODY, 0), mark)
        finally:
            self._errors.cancel()
            await asyncio.gather(self._errors, return_exceptions=True)

    def _loop_end(self) -> float:
        return asyncio.get_running_loop().time() + max(0.0, self._ends - time.monotonic())


def unproven(journal: Mapping[str, Any]) -> str:
    """Why a journal is no receipt, in words; empty where every action and every rollback was carried out."""
    before = (journal.get("steady_states") or {}).get("before") or {}
    if before.get("steady_state_met") is False:
        return "its steady state was not met before its method"
    return "; ".join(filter(None, (_not_done(journal), _left(journal))))


def _not_done(journal: Mapping[str, Any]) -> str:
    """What of its method was not carried out, in words; empty where all was."""
    status = journal.get("status")
    if status != "completed" and not journal.get("deviated"):
        return f"it ended as {status!r}"
    actions = _actions(journal, "run")
    if not actions:
        return "its method has no action, so nothing was struck"
    for action in actions:
        if not _was_done(action):
            return f"its action {action['activity'].get('name')!r} did not succeed"
    return ""


def _left(journal: Mapping[str, Any]) -> str:
    """What of its rollbacks was not carried out, in words; empty where all was."""
    played = _actions(journal, "rollbacks")
    for action in played:
        if not _was_done(action):
            return f"its rollback {action['activity'].get('name')!r} did not succeed: undo by hand what it left"
    declared = (journal.get("experiment") or {}).get("rollbacks") or ()
    if len(played) < sum(each.get("type") == "action" for each in declared):
        return "not all of its rollbacks were played: undo by hand what it left"
    return ""


def _actions(journal: Mapping[str, Any], part: str) -> list[Mapping[str, Any]]:
    return [each for each in journal.get(part) or () if each.get("activity", {}).get("type") == "action"]


def _was_done(action: Mapping[str, Any]) -> bool:
    """Whether an action was carried out. Chaos Toolkit calls a dry one, and a program's or server's no, a success."""
    if action.get("status") != "succeeded" or action["activity"].get("dry"):
        return False
    output = action.get("output")
    answer = output.get("status") if isinstance(output, Mapping) else None
    kind = str((action["activity"].get("provider") or {}).get("type"))
    return {"process": answer == 0, "http": isinstance(answer, int) and answer < HTTP_REFUSALS}.get(kind, True)


async def _bury(cell: Cell) -> None:
    """The experiment has killed the target: wait for the body, and hang up for it."""
    with suppress(ProcessLookupError):
        await cell.target.kill()
    for proxy in cell.wires.values():
        await proxy.control.close_upstream()


def _surroundings(cell: Cell) -> dict[str, str]:
    process = cell.target.process
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {
        "WARTEST_TARGET_PID": str(process.pid) if process else "",
        "WARTEST_LEDGER_URL": cell.ledger_url,
        "WARTEST_BROKER_URL": cell.premises.simulator.url,
        "WARTEST_READY_URL": cell.target.program.ready,
    }


async def _last_of(stream: asyncio.StreamReader | None) -> str:
    """The end of what a stream says; all of it is read, so that nobody waits for room."""
    kept = b""
    while stream is not None and (part := await stream.read(8192)):
        kept = (kept + part)[-8192:]
    return kept.decode(errors="replace")


EXPERIMENTS: dict[Strike, Striker] = {Strike.EXPERIMENT: experiment}
