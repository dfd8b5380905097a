"""A unit of systemd, by `systemctl`: it knows the main process and all that it started (the unit's control group).

Traps: a unit with `Restart=` comes back by itself, and one that was killed too often (`StartLimitBurst`) does not come
back at all; so its count of failures is cleared before a start, and one that is back already is not started twice.
"""

import time
from dataclasses import dataclass

from gates.chaos.cells.processes import NotOursError, is_running, start_ticks
from gates.targets.bounded import run_bounded
from gates.targets.kinds.control import MOST_LOG_LINES, ControlError, Killed, Running
from gates.targets.kinds.processes import DEATH_LIMIT_S, seen, wait_until

CALL_LIMIT_S = 10.0
SHOWN = ("LoadState", "ActiveState", "SubState", "MainPID", "Restart", "NRestarts", "Result")


@dataclass(frozen=True, slots=True)
class Systemd:
    """Control of one unit; of the user's own where `of_user`."""

    unit: str
    of_user: bool = False
    start_limit_s: float = 30.0
    stop_limit_s: float = 10.0

    def running(self) -> Running | None:
        """The unit's main process."""
        told = self._told()
        pid = int(told.get("MainPID") or 0)
        if told.get("ActiveState") not in ("active", "reloading") or not pid:
            return None
        restart = told.get("Restart", "no")
        caution = "" if restart == "no" else f"Restart={restart}: systemd starts it again by itself after a kill"
        return seen(self.unit, pid, caution)

    def start(self) -> Running:
        """Clear its failures, start it, and wait until its main process runs."""
        if (running := self.running()) is not None:
            return running
        self._do("reset-failed", limit_s=CALL_LIMIT_S)
        self._do("start", limit_s=self.start_limit_s, demanded=True)
        wait_until(lambda: self.running() is not None, self.start_limit_s, f"{self.unit} did not become active")
        running = self.running()
        if running is None:
            raise ControlError(f"{self.unit} ended as soon as it had started: see journalctl -u {self.unit}.")
        return running

    def stop(self) -> str:
        """Stop the unit, as systemd does it: its stop signal, its own limit, then SIGKILL."""
        began = time.monotonic()
        self._do("stop", limit_s=self.stop_limit_s + CALL_LIMIT_S, demanded=True)
        result = self._told().get("Result", "")
        how = "it did not end in time and systemd killed it" if result == "timeout" else "it ended"
        return f"{how}, in {time.monotonic() - began:.1f} s"

    def kill(self) -> Killed:
        """SIGKILL to every process of the unit's control group."""
        running = self.running()
        if running is None or running.pid is None:
            raise ControlError(f"{self.unit} does not run: there is nothing to kill.")
        began, pid = time.monotonic(), running.pid
        try:
            ticks = start_ticks(pid)
        except NotOursError:
            raise ControlError(f"{self.unit} ended before it could be killed.") from None
        self._do("kill", "--kill-whom=all", "--signal=SIGKILL", limit_s=CALL_LIMIT_S, demanded=True)
        wait_until(lambda: not is_running(pid, ticks), DEATH_LIMIT_S, f"Process {pid} of {self.unit} did not die")
        words = "SIGKILL to the whole control group"
        return Killed(self.unit, pid, round(time.monotonic() - began, 3), exact=True, words=words)

    def logs(self) -> str:
        """The unit's last lines in the journal."""
        scope = ("--user",) if self.of_user else ()
        words = ("journalctl", *scope, "-u", self.unit, "-n", str(MOST_LOG_LINES), "--no-pager", "-o", "short-iso")
        return run_bounded(words, CALL_LIMIT_S).printed

    def _told(self) -> dict[str, str]:
        ran = self._do("show", f"--property={','.join(SHOWN)}", limit_s=CALL_LIMIT_S, demanded=True)
        told = dict(line.split("=", 1) for line in ran.splitlines() if "=" in line)
        if told.get("LoadState") == "not-found":
            raise ControlError(f"systemd knows no unit {self.unit}: correct [process] unit.")
        return told

    def _do(self, verb: str, *options: str, limit_s: float, demanded: bool = False) -> str:
        scope = ("--user",) if self.of_user else ()
        ran = run_bounded(("systemctl", *scope, "--no-pager", verb, *options, self.unit), limit_s)
        if demanded and ran.code != 0:
            said = " ".join(ran.printed.split())[:200]
            raise ControlError(f"systemctl {verb} {self.unit}: {said or ran.words}. See [process] unit.")
        return ran.printed
