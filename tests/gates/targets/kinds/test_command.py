"""A program of this machine: started, stopped, killed with all it started; and each bad habit said in one sentence."""

import os
import sys
import time
from contextlib import suppress

import psutil
import pytest

from gates.targets.bounded import run_bounded
from gates.targets.kinds import ControlError, control_of
from gates.targets.kinds.bounded_logs import CUT, cut_when_large
from gates.targets.kinds.command import Command
from gates.targets.kinds.processes import kill_tree
from gates.targets.pids import listener_of
from gates.targets.programs import Program
from tests.gates.targets.kinds import programs
from wartest_site.embedded.children import free_port


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def gone(pid):
    until = time.monotonic() + 20
    while is_alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not is_alive(pid)


@pytest.fixture
def command(tmp_path):
    made = []

    def make(text, **limits):
        told = Program(programs.program(text), {}, "http://127.0.0.1:{port}/", {}, **({"start_limit_s": 60} | limits))
        control = Command(told.filled({"port": str(free_port())}), tmp_path / "log")
        made.append(control)
        return control

    yield make
    for control in made:
        with suppress(ControlError):
            control.kill()
        with suppress(ControlError, TypeError):
            kill_tree("left", listener_of(control.program.ready))


def test_a_program_is_started_seen_and_ends_when_it_is_asked(command):
    control = command(programs.WELL)
    assert control.running() is None
    running = control.start()
    assert running.pid == listener_of(control.program.ready)
    assert running.started_at is not None
    assert control.start().pid == running.pid
    assert control.stop().startswith("it ended")
    assert control.running() is None
    with pytest.raises(ControlError, match="does not run"):
        control.kill()


def test_a_kill_is_exact_and_takes_what_it_started_along(command):
    control = command(programs.WITH_A_CHILD)
    running = control.start()
    child = int(control.logs())
    killed = control.kill()
    assert (killed.pid, killed.exact) == (running.pid, True)
    assert gone(running.pid)
    assert gone(child)


def test_one_that_ignores_sigterm_is_killed_and_that_is_said(command):
    control = command(programs.IGNORES_SIGTERM, stop_limit_s=0.5)
    running = control.start()
    assert "ignored SIGTERM for 0.5 s and was killed" in control.stop()
    assert gone(running.pid)


def test_one_that_is_never_ready_is_killed(command):
    control = command(programs.NEVER_READY, start_limit_s=1)
    with pytest.raises(ControlError, match="not ready within 1 s and was killed"):
        control.start()
    assert control.running() is None


def test_one_that_ends_says_its_last_words(command):
    with pytest.raises(ControlError, match="exit code 1 before it was ready: no settings"):
        command("raise SystemExit('no settings')").start()
    with pytest.raises(ControlError, match="could not be started"):
        Command(Program(("/none/such",), {}, "http://127.0.0.1:1/", {}), command(programs.WELL).log).start()


def test_one_that_forks_away_is_refused(command):
    """Ready before its leader ends, it is only seen to have forked away when it is asked to stop."""
    control = command(programs.FORKS_AWAY)
    try:
        control.start()
    except ControlError as error:
        assert "forked away" in str(error)  # noqa: PT017
        return
    assert gone(control._child.pid)
    with pytest.raises(ControlError, match="forked away"):
        control.running()


def test_one_that_leaves_its_port_taken_is_told_of_with_who_holds_it(command):
    control = command(programs.LEAVES_ITS_PORT)
    running = control.start()
    (child,) = psutil.Process(running.pid).children()
    with pytest.raises(ControlError, match=f"still taken by process {child.pid}"):
        control.stop()


def test_a_taken_port_names_who_has_it(command):
    first = command(programs.WELL)
    pid = first.start().pid
    second = Command(first.program, first.log)
    with pytest.raises(ControlError, match=f"taken by process {pid}"):
        second.start()


def test_a_log_is_begun_anew_when_it_has_grown_too_large(tmp_path):
    log = tmp_path / "log"
    with log.open("ab") as appending:
        appending.write(b"x" * 1000)
        appending.flush()
        assert not cut_when_large(log, most=1000)
        appending.write(b"x")
        appending.flush()
        assert cut_when_large(log, most=1000)
        appending.write(b"after")
    assert log.read_bytes() == CUT + b"after"


def test_a_command_that_prints_without_end_is_kept_in_64_kib():
    ran = run_bounded((sys.executable, "-c", programs.PRINTS_WITHOUT_END), 2)
    assert (ran.code, len(ran.printed)) == (None, 65536)
    assert "did not end within 2 s and was killed" in ran.words


def test_a_command_whose_child_holds_its_output_open_ends_with_it(tmp_path):
    ran = run_bounded(("/bin/sh", "-c", "sleep 600 & echo $!"), 60)
    assert ran.code == 0
    assert gone(int(ran.printed))
    os.environ["WARTEST_TEST_SECRET"] = "s"
    assert "WARTEST_TEST_SECRET" not in run_bounded(("env",), 60).printed


def test_the_running_program_of_a_description_is_found_by_its_pid_file(tmp_path):
    (tmp_path / "pid").write_text(f"{os.getpid()}\n")
    control = control_of({"kind": "command", "pid_file": str(tmp_path / "pid")}, "http://127.0.0.1:1/")
    assert control.running().pid == os.getpid()
    (tmp_path / "pid").write_text("not a number")
    assert control.running() is None
    with pytest.raises(ControlError, match="unknown"):
        control_of({"kind": "upstart"}, "")
