import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from gates.targets.processes import ProcessSpec
from wartest_site.embedded.children import CannotStartError
from wartest_site.supervisor import FIRST_PAUSE_S, LONGEST_PAUSE_S, WELL_AFTER_S, StopRequestedError, Supervisor

STUBBORN = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def python(name: str, code: str) -> ProcessSpec:
    return ProcessSpec(name=name, argv=(sys.executable, "-c", code))


def until(condition, limit_s: float = 10.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def supervisor(tmp_path):
    said: list[str] = []
    made = Supervisor(logs=tmp_path / "log", cwd=tmp_path, say=said.append)
    made.said = said
    yield made
    made.stop()


def test_each_child_logs_to_a_file_of_its_name_and_cannot_take_the_terminal(supervisor):
    code = "import os,sys; print(repr(sys.stdin.read()), os.getpgid(0) == os.getpid()); print('err', file=sys.stderr)"
    supervisor.run_once(python("talker", code), limit_s=10)
    assert supervisor.log_of("talker").read_text().splitlines() == ["'' True", "err"]


def test_a_dead_child_comes_back_after_pauses_that_grow_and_stay_bounded(supervisor):
    child = supervisor.start(python("fragile", "raise SystemExit(3)"))
    now, pauses = time.monotonic(), []
    for _ in range(9):
        child.process.wait(10)
        supervisor.revive(now)
        pauses.append(child.restart_at - now)
        supervisor.revive(child.restart_at - 0.01)
        assert child.restart_at is not None, "it came back before its pause was over"
        now = child.restart_at
        supervisor.revive(now)
        assert child.restart_at is None
    assert pauses[:3] == pytest.approx([FIRST_PAUSE_S, FIRST_PAUSE_S * 2, FIRST_PAUSE_S * 4])
    assert pauses[-1] == pytest.approx(LONGEST_PAUSE_S)
    assert "fragile ended with code 3; again in 0.5 s" in supervisor.said[0]


def test_a_child_that_cannot_be_started_again_is_tried_again_later(supervisor, monkeypatch):
    child = supervisor.start(python("unlucky", "pass"))
    child.process.wait(10)
    supervisor.revive(time.monotonic())

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("wartest_site.supervisor.start_child", full)
        supervisor.revive(child.restart_at)
    assert supervisor.said[-1] == "unlucky could not be started: No space left on device; again in 1.0 s"
    supervisor.revive(child.restart_at)
    assert child.restart_at is None


def test_a_child_that_lived_long_starts_again_with_the_first_pause(supervisor):
    child = supervisor.start(python("steady", "pass"))
    child.process.wait(10)
    child.pause_s = LONGEST_PAUSE_S
    now = child.started_at + WELL_AFTER_S + 1
    supervisor.revive(now)
    assert child.restart_at == pytest.approx(now + FIRST_PAUSE_S)


def test_foundations_are_stopped_last_and_the_last_started_first(supervisor, tmp_path):
    order = tmp_path / "order"
    code = (
        "import signal,sys,time\n"
        f"def end(*_): open({str(order)!r}, 'a').write(sys.argv[1]); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\nprint('up', flush=True)\ntime.sleep(60)"
    )
    for name in "ABC":
        argv = (sys.executable, "-c", code, name)
        supervisor.start(ProcessSpec(name=name, argv=argv), foundation=name != "C")
    until(lambda: all("up" in supervisor.log_of(name).read_text() for name in "ABC"))
    supervisor.stop()
    assert order.read_text() == "CBA"


def test_a_child_that_will_not_end_is_killed_with_its_group(supervisor, monkeypatch):
    monkeypatch.setattr("wartest_site.supervisor.STOP_LIMIT_S", 0.3)
    code = f"import subprocess,sys; subprocess.run([sys.executable, '-c', {STUBBORN!r}])"
    child = supervisor.start(
        python("stubborn", "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + code)
    )
    until(lambda: "up" in supervisor.log_of("stubborn").read_text())
    family = [psutil.Process(child.process.pid), *psutil.Process(child.process.pid).children()]
    assert len(family) == 2
    supervisor.stop()
    until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in family))


def test_a_process_run_once_that_fails_or_hangs_is_told_in_one_sentence(supervisor):
    with pytest.raises(CannotStartError, match="migrate failed: no such table"):
        supervisor.run_once(python("migrate", "raise SystemExit('no such table')"), limit_s=10)
    with pytest.raises(CannotStartError, match="sleeper took longer than 0 s"):
        supervisor.run_once(python("sleeper", "import time; time.sleep(60)"), limit_s=0.1)
    with pytest.raises(CannotStartError, match="ghost could not be started: No such file"):
        supervisor.start(ProcessSpec(name="ghost", argv=("/no/such/program",)))


def test_a_signal_only_asks_to_stop(supervisor):
    before = signal.getsignal(signal.SIGTERM)
    with supervisor.catching_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        supervisor.watch()  # returns at once
        with pytest.raises(StopRequestedError):
            supervisor.start(python("late", "pass"))
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_children_die_with_a_parent_that_was_killed(tmp_path):
    code = f"""
import sys, time
from pathlib import Path
from gates.targets.processes import ProcessSpec
from wartest_site.supervisor import Supervisor
supervisor = Supervisor(logs=Path({str(tmp_path)!r}), cwd=Path('/'), say=print)
child = supervisor.start(ProcessSpec('child', (sys.executable, '-c', 'import time; time.sleep(60)')))
print(child.process.pid, flush=True)
time.sleep(60)
"""
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=root) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
