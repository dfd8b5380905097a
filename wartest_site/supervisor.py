"""Keeps named child processes running until asked to stop."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from gates.targets.processes import ProcessSpec
from wartest_site.embedded.children import CannotStartError, end_child, kill_group, last_lines, start_child, stop_child

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
# A child that lived this long was well: its next death is a new story, with the first pause again.
WELL_AFTER_S = 60.0
STOP_LIMIT_S = 10.0
LOG_LIMIT_BYTES = 10_000_000
POLL_S = 0.1


class StopRequestedError(Exception):
    """SIGINT, SIGTERM or SIGHUP arrived while starting."""


@dataclass
class Child:
    """A process we keep alive: `restart_at` (monotonic) is set while it is down."""

    spec: ProcessSpec
    process: subprocess.Popen[bytes]
    started_at: float
    foundation: bool = False
    pause_s: float = FIRST_PAUSE_S
    restart_at: float | None = None

    def alive(self) -> bool:
        return self.process.poll() is None


class Supervisor:
    """Starts children in order, restarts those that die, stops all in reverse order.

    Each child has a process group of its own, so a Ctrl-C of the terminal reaches us alone, and no child can take
    the terminal: its input is /dev/null and its output a file in `logs`.
    """

    def __init__(self, *, logs: Path, cwd: Path, say: Callable[[str], None]) -> None:
        self.logs = logs
        self.cwd = cwd
        self.say = say
        self.children: list[Child] = []
        self.stop_requested = False
        logs.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def catching_signals(self) -> Iterator[None]:
        """Within the block a signal only asks to stop, and a second one changes nothing: stopping is bounded."""
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._request_stop) for number in signals}
        try:
            yield
        finally:
            for number, disposition in before.items():
                signal.signal(number, disposition)

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        self.stop_requested = True

    def check(self) -> None:
        if self.stop_requested:
            raise StopRequestedError

    def log_of(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def start(self, spec: ProcessSpec, *, foundation: bool = False) -> Child:
        """Start a child that is kept alive from now on. What others stand on is a foundation: it is stopped last."""
        child = Child(spec, self.spawn_once(spec), time.monotonic(), foundation=foundation)
        self.children.append(child)
        return child

    def run_once(self, spec: ProcessSpec, *, limit_s: float) -> None:
        """Run a process to its end. Raises CannotStartError when it fails or takes longer than `limit_s`."""
        self.wait_for(spec, self.spawn_once(spec), limit_s=limit_s)

    def spawn_once(self, spec: ProcessSpec) -> subprocess.Popen[bytes]:
        self.check()
        try:
            return self._spawn(spec)
        except CannotStartError as error:
            raise CannotStartError(f"{spec.name} {error}") from error

    def wait_for(self, spec: ProcessSpec, process: subprocess.Popen[bytes], *, limit_s: float) -> None:
        """The second half of `run_once`, for a process that ran beside others."""
        deadline = time.monotonic() + limit_s
        try:
            while process.poll() is None:
                self.check()
                if time.monotonic() > deadline:
                    raise CannotStartError(f"{spec.name} took longer than {limit_s:.0f} s: see its log")
                time.sleep(POLL_S / 2)
        finally:
            stop_child(process, spec.stop_signal, limit_s=STOP_LIMIT_S)
        if process.returncode:
            log = self.log_of(spec.name)
            raise CannotStartError(f"{spec.name} failed: {last_lines(log, count=2)} (all of it in {log})")

    def watch(self) -> None:
        """Keep the children alive until asked to stop."""
        while not self.stop_requested:
            self.revive(time.monotonic())
            time.sleep(POLL_S)

    def revive(self, now: float) -> None:
        """Note each death, and start again whoever has waited out a pause that doubles with each early death."""
        for child in self.children:
            if child.restart_at is None and not child.alive():
                kill_group(child.process)  # what it left behind may hold its port
                if now - child.started_at > WELL_AFTER_S:
                    child.pause_s = FIRST_PAUSE_S
                self._put_off(child, now, _how(child.process.returncode))
            elif child.restart_at is not None and now >= child.restart_at:
                try:
                    child.process = self._spawn(child.spec)
                except CannotStartError as error:  # a full disk, no more processes: that may pass
                    self._put_off(child, now, str(error))
                else:
                    child.started_at, child.restart_at = now, None

    def _put_off(self, child: Child, now: float, why: str) -> None:
        child.restart_at = now + child.pause_s
        self.say(f"{child.spec.name} {why}; again in {child.pause_s:.1f} s")
        child.pause_s = min(child.pause_s * 2, LONGEST_PAUSE_S)

    def stop(self) -> None:
        """Ask all that stand on foundations at once, then end them, then the foundations, the last started first.

        Each gets `STOP_LIMIT_S`, then SIGKILL to its group.
        """
        front = [child for child in self.children if not child.foundation]
        for child in front:
            child.process.send_signal(child.spec.stop_signal)  # does nothing to one that is known to be dead
        deadline = time.monotonic() + STOP_LIMIT_S
        for child in reversed(front):
            end_child(child.process, limit_s=max(0.0, deadline - time.monotonic()))
        for child in reversed([child for child in self.children if child.foundation]):
            stop_child(child.process, child.spec.stop_signal, limit_s=STOP_LIMIT_S)
        self.children.clear()

    def _spawn(self, spec: ProcessSpec) -> subprocess.Popen[bytes]:
        log = self.log_of(spec.name)
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.old"))
        try:
            with log.open("ab") as file:
                return start_child(spec, log=file, cwd=self.cwd)
        except OSError as error:
            raise CannotStartError(f"could not be started: {error.strerror}") from error


def _how(returncode: int) -> str:
    if returncode >= 0:
        return f"ended with code {returncode}"
    return f"was ended by {signal.Signals(-returncode).name}"
