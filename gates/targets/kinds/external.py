"""The user's own commands for start, stop and status: for whatever no other kind knows."""

import time
from dataclasses import dataclass

from gates.targets.bounded import Ran, run_bounded
from gates.targets.kinds.control import ControlError, Killed, Running
from gates.targets.kinds.processes import kill_tree, seen, wait_until

CALL_LIMIT_S = 30.0
MOST_DIGITS = 10


@dataclass(frozen=True, slots=True)
class External:
    """Control by commands. `status` exits with 0 while it runs, and may print its process number in its first word."""

    start_words: tuple[str, ...]
    stop_words: tuple[str, ...]
    status_words: tuple[str, ...]
    kill_words: tuple[str, ...] = ()
    logs_words: tuple[str, ...] = ()
    start_limit_s: float = 30.0
    stop_limit_s: float = 10.0

    def running(self) -> Running | None:
        """What status says."""
        ran = run_bounded(self.status_words, CALL_LIMIT_S)
        if ran.code is None:
            raise ControlError(f"[process] status: {ran.words}.")
        if ran.code != 0:
            return None
        first = next(iter(ran.printed.split()), "")
        pid = int(first) if first.isascii() and first.isdigit() and len(first) <= MOST_DIGITS else None
        caution = "" if pid else "status prints no process number: nothing shows that it stays the same process"
        return (seen("the target", pid) if pid else None) or Running("the target", None, None, caution)

    def start(self) -> Running:
        """Start it, unless it runs."""
        if (running := self.running()) is not None:
            return running
        _demand(run_bounded(self.start_words, self.start_limit_s), "start")
        wait_until(lambda: self.running() is not None, self.start_limit_s, "[process] status did not show it running")
        running = self.running()
        if running is None:
            raise ControlError("It ended as soon as it had started: see its log.")
        return running

    def stop(self) -> str:
        """Stop it and wait until status says so."""
        began = time.monotonic()
        _demand(run_bounded(self.stop_words, self.stop_limit_s + CALL_LIMIT_S), "stop")
        wait_until(lambda: self.running() is None, self.stop_limit_s, "[process] status still showed it running")
        return f"it ended, in {time.monotonic() - began:.1f} s"

    def kill(self) -> Killed:
        """Kill it by its number, exactly; without one by the kill command, which proves less."""
        running = self.running()
        if running is None:
            raise ControlError("It does not run: there is nothing to kill.")
        if running.pid is not None:
            return kill_tree(running.name, running.pid)
        if not self.kill_words:
            raise ControlError("It cannot be killed: let status print its process number, or add [process] kill.")
        began = time.monotonic()
        _demand(run_bounded(self.kill_words, CALL_LIMIT_S), "kill")
        wait_until(lambda: self.running() is None, self.stop_limit_s, "[process] status still showed it running")
        words = "by its own command: that it was exact is not proven"
        return Killed(running.name, None, round(time.monotonic() - began, 3), exact=False, words=words)

    def logs(self) -> str:
        """What the logs command prints."""
        if not self.logs_words:
            raise ControlError("Its log is not known: add [process] logs.")
        return run_bounded(self.logs_words, CALL_LIMIT_S).printed


def _demand(ran: Ran, name: str) -> None:
    if ran.code != 0:
        said = " ".join(ran.printed.split())[-200:]
        raise ControlError(f"[process] {name}: {ran.words}{f', saying {said}' if said else ''}.")
