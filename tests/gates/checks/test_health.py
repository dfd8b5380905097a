import os
import subprocess
from dataclasses import replace

import psutil
import pytest

from audits.verdicts import Verdict
from gates.checks import health
from gates.checks.processes import started_ticks
from gates.targets.access import Access
from gates.targets.pids import is_told_here
from tests.audits.answers import answering, as_json

WELL = {"status": "ok", "pid": os.getpid(), "build": "b1", "database_ms": 1.5, "broker_ms": 2, "open_positions": 3}
BASELINE = {"pid": os.getpid(), "started_ticks": started_ticks(psutil.Process()), "build": "b1"}


def reach(url):
    return Access("", "wartest", "", "", "", url)


def outcome(answer, baseline=BASELINE):
    with answering(lambda path, query: answer) as target:
        return health.judge(health.observe(reach(target.url)), baseline)


def test_a_well_target_passes_with_its_resources_measured():
    seen = outcome(as_json(WELL))
    assert seen.verdict == Verdict.PASSED
    assert {"cpu_s", "memory_mib", "threads", "handles", "answer_ms", "database_ms"} <= seen.measured.keys()


@pytest.mark.parametrize(
    ("answer", "rule", "words"),
    [
        (as_json(WELL | {"status": "failing", "reason": "no broker"}, status=503), "target unhealthy", "no broker"),
        (as_json(WELL | {"build": "b2"}), "another build", "build changed"),
        ((200, "text/html", b"<html>"), "target does not answer", "not JSON"),
        (as_json([1]), "target does not answer", "no JSON object"),
        (as_json(WELL | {"reason": "x" * 70_000}), "target does not answer", "64 KiB"),
    ],
)
def test_an_ill_or_another_target_is_a_critical_finding(answer, rule, words):
    seen = outcome(answer)
    assert seen.verdict == Verdict.FAILED
    assert (seen.findings[0].rule, seen.findings[0].level) == (rule, "critical")
    assert words in seen.reason


@pytest.fixture
def child():
    """A process of the listener's family, as a worker or the server that started it is."""
    process = subprocess.Popen(["sleep", "600"])
    yield process.pid
    process.kill()
    process.wait()


@pytest.fixture
def stranger():
    """A process of the same machine and user that has nothing to do with the listener."""
    words = ["sh", "-c", "sleep 600 >/dev/null & echo $!"]
    pid = int(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout)
    yield pid
    psutil.Process(pid).kill()


def test_a_target_that_came_back_as_another_process_of_its_server_is_a_critical_finding(child):
    seen = outcome(as_json(WELL | {"pid": child}))
    assert (seen.verdict, seen.findings[0].rule) == (Verdict.FAILED, "another process")
    assert "pid changed" in seen.reason


def test_a_number_of_another_machine_or_container_is_not_looked_up_on_the_portals(stranger):
    for told in (1, stranger):  # the first process of every container has the number 1
        with answering(lambda path, query, told=told: as_json(WELL | {"pid": told})) as target:
            seen = health.observe(reach(target.url))
        assert (seen["pid_elsewhere"], "pid" in seen, "started_ticks" in seen) == (told, False, False)
        judged = health.judge(seen, seen)
        assert judged.verdict == Verdict.INCONCLUSIVE
        assert "add [process] pid_file, or describe what runs it" in judged.reason


def test_a_number_that_the_description_knows_stands_for_one_that_is_told_elsewhere(tmp_path):
    (tmp_path / "pid").write_text(str(os.getpid()))
    with answering(lambda path, query: as_json(WELL | {"pid": 1})) as target:
        described = replace(reach(target.url), process={"kind": "command", "pid_file": str(tmp_path / "pid")})
        assert health.judge(health.observe(described), BASELINE).verdict == Verdict.PASSED


def test_nobody_at_another_host_is_a_process_of_this_machine():
    assert not is_told_here(os.getpid(), "http://desk.invalid:8010/health")
    assert not is_told_here(os.getpid(), "http://127.0.0.1:1/health")


def test_a_pod_says_why_its_process_proves_nothing_and_what_to_do():
    with answering(lambda path, query: as_json(WELL)) as target:
        pod = replace(reach(target.url), process={"kind": "kubernetes", "deployment": "fx-desk"})
        seen = health.judge(health.observe(pod), BASELINE)
    assert seen.verdict == Verdict.INCONCLUSIVE
    assert "does not show pid, started_ticks, cpu_s" in seen.reason
    assert 'describe it as kind = "external"' in seen.reason


NO_NUMBERS = (None, float("nan"), float("inf"), True, -1, "7")
SAYS_NOTHING = [(name, value) for name in ("pid", "database_ms", "broker_ms") for value in NO_NUMBERS]


@pytest.mark.parametrize(("name", "value"), [*SAYS_NOTHING, ("build", None), ("build", " \0")])
def test_what_health_does_not_show_as_a_value_is_no_evidence(name, value):
    seen = outcome(as_json(WELL | {name: value}))
    assert seen.verdict == Verdict.INCONCLUSIVE
    assert name in seen.reason


def test_settings_that_are_no_longer_told_are_no_evidence_that_they_are_the_same():
    told = BASELINE | {"configuration": "sha256:1"}
    assert outcome(as_json(WELL | {"configuration": "sha256:1"}), told).verdict == Verdict.PASSED
    assert outcome(as_json(WELL | {"configuration": "sha256:2"}), told).verdict == Verdict.FAILED
    seen = outcome(as_json(WELL), told)
    assert (seen.verdict, "does not show configuration" in seen.reason) == (Verdict.INCONCLUSIVE, True)


@pytest.mark.parametrize("name", health.IDENTITY)
def test_a_run_that_does_not_know_what_it_started_with_proves_nothing(name):
    seen = outcome(as_json(WELL), {key: value for key, value in BASELINE.items() if key != name})
    assert seen.verdict == Verdict.INCONCLUSIVE
    assert name in seen.reason


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/health", "no address"])
def test_a_target_that_cannot_be_reached_does_not_answer(url):
    assert "does not answer" in health.observe(reach(url))["error"]
