"""Two runs of one scenario: the same strikes and the same verdicts, or what differs, by name."""

import json

import pytest
from django.core.management import call_command

from gates.chaos.comparing import compare, fingerprint

KILL = ("open", "ledger:request:1:COMMIT", "kill before", "")
LOST = ("open", "broker:answer:1:POST orders", "lose the answer", "")


def report(*points, skipped=(), kind="chaos-test"):
    """A report of one scenario, as far as it is compared."""
    names = ("operation", "point", "fault")
    made = [dict(zip(names, strike, strict=False)) | {"then": None, "verdict": verdict} for strike, verdict in points]
    left = [dict(zip(names, strike, strict=False)) for strike in skipped]
    return {"kind": kind, "scenarios": [{"name": "one", "crash_points": made, "not_applicable": left}]}


def written(tmp_path, *reports):
    paths = [tmp_path / f"{number}.json" for number in range(len(reports))]
    for path, content in zip(paths, reports, strict=True):
        path.write_text(json.dumps(content))
    return [str(path) for path in paths]


def ended(*arguments):
    with pytest.raises(SystemExit) as end:
        call_command("compare_chaos", *arguments)
    return end.value.code


def test_the_same_strikes_with_the_same_verdicts_are_identical_in_any_order():
    assert compare({KILL: "passed", LOST: "failed"}, {LOST: "failed", KILL: "passed"}).identical


def test_a_second_strike_is_the_same_whichever_kill_that_left_its_state_came_first(tmp_path):
    then = {"point": "ledger:request:1:BEGIN", "label": "ledger: BEGIN", "strike": "kill after", "state": "5a7e"}
    one, same, other = report((KILL, "passed")), report((LOST, "passed")), report((KILL, "passed"))
    for each, state in ((one, "5a7e"), (same, "5a7e"), (other, "0ff0")):
        each["scenarios"][0]["crash_points"][0]["then"] = then | {"state": state}
    first, second, third = written(tmp_path, one, same, other)
    assert ended(first, second) == 0
    assert ended(first, third) == 1


def test_of_second_strikes_of_one_name_the_worst_verdict_stands(tmp_path):
    then = {"point": "ledger:request:1:BEGIN", "label": "ledger: BEGIN", "strike": "kill after", "state": "5a7e"}
    twice = [report((KILL, one), (LOST, other)) for one, other in (("passed", "failed"), ("failed", "passed"))]
    once = report((KILL, "passed"))
    for each in (*twice, once):
        for point in each["scenarios"][0]["crash_points"]:
            point["then"] = then
    first, second, third = written(tmp_path, *twice, once)
    assert ended(first, second) == 0
    assert ended(first, third) == ended(second, third) == 1


def test_a_run_of_depth_2_is_compared_with_one_of_depth_1_without_its_second_strikes(tmp_path):
    then = {"point": "ledger:request:1:BEGIN", "label": "ledger: BEGIN", "strike": "kill after", "state": "5a7e"}
    deep, shallow, other = (
        report((KILL, "passed"), (KILL, "failed")),
        report((KILL, "passed")),
        report((KILL, "failed")),
    )
    deep["scenarios"][0]["crash_points"][1]["then"] = then
    first, second, third = written(tmp_path, deep, shallow, other)
    assert ended(first, second) == 1
    assert ended(first, second, "--depth", "1") == 0
    assert ended(first, third, "--depth", "1") == 1


@pytest.mark.parametrize(
    ("earlier", "later", "words"),
    [
        ({KILL: "passed"}, {KILL: "failed"}, "1 with another verdict; 0 the same"),
        ({KILL: "passed", LOST: "passed"}, {KILL: "passed"}, "1 only in the earlier; 1 the same"),
        ({}, {KILL: "passed"}, "1 only in the later; 0 the same"),
        ({}, {}, "nothing was struck; 0 the same"),
    ],
)
def test_what_differs_is_counted_and_nothing_is_never_identical(earlier, later, words):
    compared = compare(earlier, later)
    assert (compared.identical, compared.words) == (False, words)


def test_reports_are_compared_from_their_files_alone(tmp_path, capsys):
    one = report((KILL, "passed"), skipped=(LOST,))
    same, other = report((KILL, "passed"), skipped=(LOST,)), report((KILL, "failed"), (LOST, "passed"))
    first, second, third = written(tmp_path, one, same, other)
    assert ended(first, second) == 0
    assert "≡ one: identical: the same 2 strikes" in capsys.readouterr().out
    assert ended(first, second, third) == 1
    said = capsys.readouterr().out
    assert "passed → failed: open · ledger:request:1:COMMIT · kill before" in said
    assert "not applicable → passed: open · broker:answer:1:POST orders" in said


def test_a_report_is_compared_with_the_fingerprint_of_one_that_is_not_at_hand(tmp_path, capsys):
    one, same = report((KILL, "passed"), (LOST, "passed")), report((LOST, "passed"), (KILL, "passed"))
    first, second, other, fewer = written(
        tmp_path, one, same, report((KILL, "passed"), (LOST, "failed")), report((KILL, "passed"))
    )
    assert ended("--fingerprint", fingerprint(one), first, second) == 0
    assert fingerprint(one) in capsys.readouterr().out
    for path in (other, fewer):
        assert ended("--fingerprint", fingerprint(one), path) == 1
        assert f", not {fingerprint(one)}" in capsys.readouterr().out


def test_the_fingerprint_of_depth_1_knows_no_second_strikes():
    then = {"point": "ledger:request:1:BEGIN", "label": "ledger: BEGIN", "strike": "kill after", "state": "5a7e"}
    deep, shallow = report((KILL, "passed"), (KILL, "passed")), report((KILL, "passed"))
    deep["scenarios"][0]["crash_points"][1]["then"] = then
    assert fingerprint(deep, 1) == fingerprint(shallow) != fingerprint(deep)


def test_what_is_no_report_of_gate_2_is_said_in_one_sentence(tmp_path, capsys):
    good, other, nothing = written(tmp_path, report((KILL, "passed")), report(kind="manual-audit"), report())
    (tmp_path / "broken.json").write_text("{")
    for arguments, words in (
        ((good, other), "a report of another kind: manual-audit"),
        ((good, str(tmp_path / "broken.json")), "is no report of gate 2"),
        ((good, str(tmp_path / "nowhere.json")), "cannot be read"),
        ((good,), "two reports or more"),
        ((good, nothing), "holds no strike"),
        ((good, "--fingerprint", "zz"), "'zz' is no fingerprint"),
        ((good, other, "--fingerprint", ""), "'' is no fingerprint"),
    ):
        assert ended(*arguments) == 2
        assert words in capsys.readouterr().err
