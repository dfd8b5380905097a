"""Units, containers, deployments and commands of the user's own: the same five things, and each one's traps.

What no test machine runs is stood in for by what speaks its protocol (`standins.py`); the libraries are the real ones.
"""

import os
import sys

import pytest

from gates.chaos.cells.processes import is_running, start_ticks
from gates.targets.kinds import ControlError, control_of
from tests.gates.targets.kinds.standins import docker_engine, kubernetes_api, systemctl

EXTERNAL = """
import os, pathlib, signal, subprocess, sys
file, verb = pathlib.Path(sys.argv[1]), sys.argv[2]
pid = int(file.read_text()) if file.exists() else 0
if verb == "start":
    quiet = subprocess.DEVNULL
    file.write_text(str(subprocess.Popen(["sleep", "600"], stdout=quiet, stderr=quiet, start_new_session=True).pid))
elif verb == "status":
    try:
        alive = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        alive = False
    print(pid if len(sys.argv) < 4 else "running"); sys.exit(0 if alive else 3)
else:
    os.kill(pid, signal.SIGTERM if verb == "stop" else signal.SIGKILL)
"""


@pytest.fixture
def unit(tmp_path, monkeypatch):
    with systemctl(tmp_path, restart="always") as folder:
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        yield control_of({"kind": "systemd", "unit": "fx-desk.service"}, ""), folder


def test_a_unit_starts_stops_and_is_killed_with_its_whole_group(unit):
    control, folder = unit
    assert control.running() is None
    running = control.start()
    ticks = start_ticks(running.pid)
    assert "systemd starts it again by itself" in running.caution
    killed = control.kill()
    assert (killed.pid, killed.exact, is_running(running.pid, ticks)) == (running.pid, True, False)
    assert "--kill-whom=all --signal=SIGKILL fx-desk.service" in (folder / "asked").read_text()
    control.start()
    assert control.stop().startswith("it ended")
    assert control.running() is None


def test_a_unit_that_was_killed_often_still_starts_since_its_failures_are_cleared(unit):
    control, folder = unit
    for _ in range(4):
        control.start()
        control.kill()
    assert (folder / "asked").read_text().count("reset-failed") == 4


def test_a_unit_that_runs_is_not_started_twice_and_an_unknown_one_is_named(unit):
    control, folder = unit
    assert control.start().pid == control.start().pid
    assert (folder / "asked").read_text().count(" start ") == 1
    with pytest.raises(ControlError, match=r"knows no unit other\.service"):
        control_of({"kind": "systemd", "unit": "other.service"}, "").running()


def test_a_machine_without_systemd_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ControlError, match="systemctl could not be started"):
        control_of({"kind": "systemd", "unit": "fx-desk.service"}, "").running()


def container(address, name="fx-desk"):
    return control_of({"kind": "docker", "container": name, "daemon": address, "stop_limit_s": 1.0}, "")


def test_a_container_starts_stops_and_is_killed_by_its_number_on_the_machine(tmp_path):
    with docker_engine(tmp_path) as (engine, address):
        control = container(address)
        assert control.running() is None
        running = control.start()
        assert running.pid == engine.sleeper.process.pid
        assert running.started_at is not None
        assert control.logs() == "the desk speaks\n"
        killed = control.kill()
        assert (killed.exact, killed.pid, engine.sleeper.alive) == (True, running.pid, False)
        assert any("kill?signal=SIGKILL" in asked for asked in engine.asked)
        with pytest.raises(ControlError, match="nothing to kill"):
            control.kill()
        control.start()
        assert "exit code 143" in control.stop()
        assert any("stop?t=1" in asked for asked in engine.asked)


def test_a_shell_as_first_process_and_a_restart_policy_are_cautioned_of(tmp_path):
    with docker_engine(tmp_path, path="/bin/sh", policy="always") as (_, address):
        caution = container(address).start().caution
    assert "is a shell" in caution
    assert "restart policy is always" in caution


def test_a_container_or_an_engine_that_is_not_there_is_said(tmp_path):
    with docker_engine(tmp_path) as (_, address), pytest.raises(ControlError, match="knows no container other"):
        container(address, "other").running()
    with pytest.raises(ControlError, match="Docker does not answer"):
        container(f"unix://{tmp_path}/none.sock").running()


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    with kubernetes_api(tmp_path) as (standin, path):
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
        yield standin, control_of({"kind": "kubernetes", "deployment": "fx-desk", "stop_limit_s": 1.0}, "")


def test_a_deployment_is_scaled_and_a_kill_of_its_pod_is_never_called_exact(cluster):
    standin, control = cluster
    running = control.running()
    assert (running.pid, "uid-1, restarted 2 times" in running.name) == (None, True)
    killed = control.kill()
    assert (killed.exact, "SIGTERM came first" in killed.words) == (False, True)
    assert any(asked.startswith("DELETE") for asked in standin.asked)
    assert "uid-2" in control.running().name
    assert control.logs() == "life 2"
    assert control.stop().startswith("it ended")
    assert control.running() is None
    assert control.start().name.startswith("fx-desk-2")


def test_a_deployment_of_several_replicas_or_of_another_name_is_refused(cluster):
    standin, control = cluster
    standin.wanted = 3
    with pytest.raises(ControlError, match="3 replicas"):
        control.running()
    with pytest.raises(ControlError, match="404 for other"):
        control_of({"kind": "kubernetes", "deployment": "other"}, "").running()


def own(file, *more, **words):
    said = {verb: [sys.executable, "-c", EXTERNAL, str(file), verb] for verb in ("start", "stop", "status", "kill")}
    said["status"] += more
    return control_of({"kind": "external"} | said | words, "")


def test_ones_own_commands_kill_exactly_where_status_prints_the_number(tmp_path):
    control = own(tmp_path / "pid")
    assert control.running() is None
    running = control.start()
    assert running.pid == int((tmp_path / "pid").read_text())
    assert control.kill().exact
    assert control.running() is None
    control.start()
    assert control.stop().startswith("it ended")


def test_ones_own_commands_prove_less_where_status_prints_none(tmp_path):
    control = own(tmp_path / "pid", "quiet")
    assert "no process number" in control.start().caution
    killed = control.kill()
    assert (killed.exact, "not proven" in killed.words) == (False, True)
    control.start()
    with pytest.raises(ControlError, match=r"add .process. kill"):
        own(tmp_path / "pid", "quiet", kill=[]).kill()
    control.stop()


def test_a_command_of_ones_own_that_fails_says_what_it_said(tmp_path):
    failing = [sys.executable, "-c", "raise SystemExit('no such desk')"]
    with pytest.raises(ControlError, match=r"start: .* exit code 1, saying no such desk"):
        own(tmp_path / "pid", start=failing).start()
    with pytest.raises(ControlError, match="could not be started"):
        own(tmp_path / "pid", status=["/none/such"]).running()
    with pytest.raises(ControlError, match=r"add .process. logs"):
        own(tmp_path / "pid").logs()
