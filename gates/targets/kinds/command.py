"""A program of this machine: a child in a group of its own while we run it, else found by its number or its port.

Traps: what it starts (`npm run` → `node` → workers) must die with it; one that forks away leaves a leader that is gone
and a port that is taken; one that prints without end fills the disk.
"""

import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from gates.targets.bounded import passed_on
from gates.targets.kinds.bounded_logs import cut_when_large, last_bytes
from gates.targets.kinds.control import MOST_LOG_BYTES, ControlError, Killed, Running
from gates.targets.kinds.processes import PAUSE_S, kill_tree, seen
from gates.targets.pids import listener_of
from gates.targets.programs import Program

PROBE_S = 2.0
NAME = "the program"
FORKED_AWAY = "It forked away and its leader ended: let it run in the foreground, or nothing can kill it exactly."


@dataclass(slots=True)
class Command:
    """Control of one program; `program` is filled in. `find` tells the number of one that we did not start."""

    program: Program
    log: Path
    find: Callable[[], int | None] = lambda: None
    _child: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def running(self) -> Running | None:
        """The child that we started, or else the one that is found."""
        if self._child is not None:
            if self._child.poll() is None:
                return seen(NAME, self._child.pid)
            if listener_of(self.program.ready) is not None:
                raise ControlError(FORKED_AWAY)
            return None
        pid = self.find()
        return seen(NAME, pid) if pid is not None else None

    def start(self) -> Running:
        """Start it and wait until it is ready; one that does not become so is killed.

        Raises ControlError: its command cannot be run, its port is taken, it ended, forked away, or was never ready.
        """
        if (running := self.running()) is not None:
            return running
        if taken := listener_of(self.program.ready):
            raise ControlError(f"Its port is taken by process {taken} already: end that one, or give another port.")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            try:
                self._child = subprocess.Popen(  # noqa: S603  the words of the target's description
                    list(self.program.command),
                    env=passed_on() | dict(self.program.environment),
                    cwd=self.program.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            except OSError as error:
                raise ControlError(f"{self.program.command[0]} could not be started: {error.strerror}.") from None
        try:
            self._wait_ready()
        except ControlError:
            self._end_all()
            raise
        return self.running() or Running(NAME, None, None)

    def _wait_ready(self) -> None:
        ends = time.monotonic() + self.program.start_limit_s
        while time.monotonic() < ends:
            cut_when_large(self.log)
            if self._child is None or self._child.poll() is not None:
                raise ControlError(self._why_gone())
            with suppress(httpx.HTTPError):
                if httpx.get(self.program.ready, timeout=PROBE_S, trust_env=False).status_code == httpx.codes.OK:
                    return
            time.sleep(PAUSE_S)
        limit_s = self.program.start_limit_s
        raise ControlError(f"It was not ready within {limit_s:g} s and was killed: see ready, and its log.")

    def _why_gone(self) -> str:
        code = self._child.returncode if self._child else None
        if listener_of(self.program.ready) is not None:
            return FORKED_AWAY
        said = last_bytes(self.log, 300).strip() or "it logged nothing"
        return f"It ended with exit code {code} before it was ready: {said}"

    def stop(self) -> str:
        """SIGTERM, and after `stop_limit_s` SIGKILL to all that is left. Raises ControlError where its port stays."""
        running = self.running()
        if running is None or running.pid is None:
            raise ControlError("It does not run: there is nothing to stop.")
        began, limit_s = time.monotonic(), self.program.stop_limit_s
        ended = self._ask_to_end(running.pid, limit_s)
        self._end_all()
        if not ended:
            with suppress(ControlError):
                kill_tree(NAME, running.pid)
        if left := listener_of(self.program.ready):
            raise ControlError(
                f"It ended, and its port is still taken by process {left}: what it started must end too."
            )
        took = f"in {time.monotonic() - began:.1f} s"
        return f"it ended, {took}" if ended else f"it ignored SIGTERM for {limit_s:g} s and was killed, {took}"

    def _ask_to_end(self, pid: int, limit_s: float) -> bool:
        try:
            process = psutil.Process(pid)
            process.terminate()
            process.wait(limit_s)
        except psutil.TimeoutExpired:
            return False
        except psutil.Error:
            return True
        return True

    def kill(self) -> Killed:
        """SIGKILL to it and to all that it started."""
        running = self.running()
        if running is None or running.pid is None:
            raise ControlError("It does not run: there is nothing to kill.")
        killed = kill_tree(NAME, running.pid)
        self._end_all()
        return killed

    def logs(self) -> str:
        """The end of its log."""
        return last_bytes(self.log, MOST_LOG_BYTES)

    def _end_all(self) -> None:
        """Kill what is left of the child's group, and bury the child."""
        child, self._child = self._child, None
        if child is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, 9)
        with suppress(subprocess.TimeoutExpired):
            child.wait(5)
