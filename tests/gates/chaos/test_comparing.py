"""Two runs of one scenario: the same strikes and the same verdicts, or what differs, by name."""

import json

import pytest
from django.core.management import call_command

from audits.verdicts import Verdict, merge
from gates.chaos.comparing import ABSENT, ScenarioShown, compare, fingerprint

KILL = ("open", "ledger:request:1:COMMIT", "kill before", "")
LOST = ("open", "broker:answer:1:POST orders", "lose the answer", "")


def scenario(*points, skipped=(), name="one", verdict=None):
    """A scenario of a report, as far as it is compared; its verdict is the worst of its strikes' unless it is given."""
    names = ("operation", "point", "fault")
    made = [dict(zip(names, strike, strict=False)) | {"then": None, "verdict": verdict} for strike, verdict in points]
    left = [dict(zip(names, strike, strict=False)) for strike in skipped]
    verdict = verdict or str(merge(Verdict(each) for _, each in points))
    return {"name": name, "verdict": verdict, "crash_points": made, "not_applicable": left}


def report(*points, kind="chaos-test", besides=(), **how):
    """A report of one scenario, and of others."""
    return {"kind": kind, "scenarios": [scenario(*points, **how), *besides]}


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
    earlier, later = {KILL: "passed", LOST: "failed"}, {LOST: "failed", KILL: "passed"}
    assert compare(ScenarioShown("failed", earlier), ScenarioShown("failed", later)).identical


def test_a_scenario_that_passed_is_not_one_that_is_inconclusive_though_all_strikes_of_both_passed(tmp_path, capsys):
    whole, short = report((KILL, "passed")), report((KILL, "passed"), verdict="inconclusive")
    first, second = written(tmp_path, whole, short)
    assert ended(first, second) == 1
    assert "≠ one: as a whole passed → inconclusive; 1 the same" in capsys.readouterr().out
    assert ended("--fingerprint", fingerprint(whole), second) == 1


def test_without_second_strikes_no_scenarios_verdict_is_compared_since_they_decide_it_too(tmp_path, capsys):
    then = {"point": "ledger:request:1:BEGIN", "label": "ledger: BEGIN", "strike": "kill after", "state": "5a7e"}
    deep, shallow = report((KILL, "passed"), (KILL, "failed")), report((KILL, "passed"))
    deep["scenarios"][0]["crash_points"][1]["then"] = then
    first, second = written(tmp_path, deep, shallow)
    assert ended(first, second, "--depth", "1") == 0
    assert "the same 1 strikes, the same verdicts; as a whole not compared" in capsys.readouterr().out
    assert ended("--fingerprint", fingerprint(deep, 1), second, "--depth", "1") == 0


@pytest.mark.parametrize(
    ("besides", "code"),
    [
        (scenario(name="two"), 0),
        (scenario(name="two", verdict="failed"), 1),
        (scenario(name="three"), 1),
        (scenario((LOST, "inconclusive"), name="two"), 1),
    ],
)
def test_a_scenario_without_a_strike_is_the_same_by_file_as_by_fingerprint(tmp_path, capsys, besides, code):
    one, other = report((KILL, "passed"), besides=[scenario(name="two")]), report((KILL, "passed"), besides=[besides])
    first, second = written(tmp_path, one, other)
    assert ended(first, second) == ended("--fingerprint", fingerprint(one), second) == code
    shown = "≡ two: identical: nothing was struck; as a whole inconclusive"
    assert (shown in capsys.readouterr().out) == (not code)


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
    ],
)
def test_what_differs_is_counted(earlier, later, words):
    compared = compare(ScenarioShown("failed", earlier), ScenarioShown("failed", later))
    assert (compared.identical, compared.words) == (False, words)


def test_a_scenario_that_only_one_report_holds_is_said_to_be_in_no_other():
    compared = compare(ABSENT, ScenarioShown("inconclusive", {}))
    assert (compared.identical, compared.words) == (False, "as a whole absent → inconclusive; 0 the same")


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


def test_a_second_strike_that_does_not_apply_is_left_out_at_depth_1_as_every_other(tmp_path):
    then = {"point": "ledger:request:1:BEGIN", "label": "ledger: BEGIN", "strike": "kill after", "state": "5a7e"}
    deep, shallow = report((KILL, "passed"), skipped=(KILL,)), report((KILL, "passed"))
    deep["scenarios"][0]["not_applicable"][0]["then"] = then
    first, second = written(tmp_path, deep, shallow)
    assert ended(first, second) == 1
    assert ended(first, second, "--depth", "1") == 0


def test_the_fingerprint_of_depth_1_knows_no_second_strikes():
    then = {"point": "ledger:request:1:BEGIN", "label": "ledger: BEGIN", "strike": "kill after", "state": "5a7e"}
    deep, shallow = report((KILL, "passed"), (KILL, "passed")), report((KILL, "passed"))
    deep["scenarios"][0]["crash_points"][1]["then"] = then
    assert fingerprint(deep, 1) == fingerprint(shallow, 1)
    assert fingerprint(deep) != fingerprint(shallow)


def test_what_is_no_report_of_gate_2_is_said_in_one_sentence(tmp_path, capsys):
    only_second = report((KILL, "passed"))
    only_second["scenarios"][0]["crash_points"][0]["then"] = {"point": "p", "strike": "kill after", "state": "5a7e"}
    good, other, nothing, second = written(
        tmp_path, report((KILL, "passed")), report(kind="manual-audit"), report(), only_second
    )
    (tmp_path / "broken.json").write_text("{")
    for arguments, words in (
        ((good, other), "a report of another kind: manual-audit"),
        ((good, str(tmp_path / "broken.json")), "is no report of gate 2"),
        ((good, str(tmp_path / "nowhere.json")), "cannot be read"),
        ((good,), "two reports or more"),
        ((good, nothing), "holds no strike"),
        ((good, second, "--depth", "1"), "holds no strike"),
        ((good, "--fingerprint", "zz"), "'zz' is no fingerprint"),
        ((good, "--fingerprint", "3fa00f1e5a8fb30e"), "without scenarios' verdicts: it is not compared"),
        ((good, other, "--fingerprint", ""), "'' is no fingerprint"),
    ):
        assert ended(*arguments) == 2
        assert words in capsys.readouterr().err
