"""The criteria of gate 3: what they demand, and that no evidence is never a pass."""

from dataclasses import replace

import pytest

from audits.verdicts import Verdict, merge
from gates.ledger_audit.criteria import BALANCE, COVERAGE, PNL, CheckSeen, audit_criteria
from gates.ledger_audit.plans import AuditPlan, UnknownCheckError, audit_plan_for

NAMES = (*BALANCE, *COVERAGE, *PNL, "orphans", "stops")
PLAN = AuditPlan("smoke", limit_s=60, min_balance_events=100, min_executions=50, checks=NAMES)
CLEAN = {name: CheckSeen(name, Verdict.PASSED, rows=100) for name in NAMES}


def judged(*changed, plan=PLAN, partial=False, without=()):
    seen = CLEAN | {check.name: check for check in changed}
    table = audit_criteria(plan, [seen[name] for name in NAMES if name not in without], partial=partial)
    return merge(line.verdict for line in table), {line.name: line for line in table}


def test_clean_books_pass_every_criterion_and_say_how_much_was_looked_at():
    verdict, table = judged()
    assert verdict == Verdict.PASSED
    assert table["zero discrepancies"].measured == "0 discrepancies in 800 rows, 8 of 8 checks"
    assert not any(line.reason for line in table.values())


@pytest.mark.parametrize(
    ("name", "criterion"),
    [("balance_chain", "balance equation"), ("sequences", "event coverage"), ("pnl", "PnL")],
)
def test_a_failed_check_fails_its_criterion_and_that_of_zero_discrepancies(name, criterion):
    verdict, table = judged(CheckSeen(name, Verdict.FAILED, rows=100, findings=3))
    assert verdict == Verdict.FAILED
    failed = {line.name for line in table.values() if line.verdict == Verdict.FAILED}
    assert failed == {criterion, "zero discrepancies"}
    assert table[criterion].measured.startswith("3 discrepancies in")
    assert name.replace("_", " ") in table[criterion].reason


@pytest.mark.parametrize("name", NAMES)
def test_a_check_that_was_not_carried_out_shuts_the_gate(name):
    assert judged(without=[name])[0] == Verdict.INCONCLUSIVE
    assert judged(CheckSeen(name, None))[0] == Verdict.INCONCLUSIVE


@pytest.mark.parametrize("name", NAMES)
def test_a_check_that_looked_at_nothing_is_no_pass(name):
    assert judged(CheckSeen(name, Verdict.PASSED, rows=0))[0] == Verdict.INCONCLUSIVE


def test_what_does_not_apply_is_counted_apart_and_does_not_pass_a_criterion_alone():
    verdict, table = judged(CheckSeen("stops", Verdict.PASSED, applies=False))
    assert verdict == Verdict.PASSED
    assert table["zero discrepancies"].measured == "0 discrepancies in 700 rows, 7 of 8 checks, 1 not applicable"
    verdict, table = judged(CheckSeen("pnl", Verdict.PASSED, applies=False))
    assert (verdict, table["PnL"].verdict) == (Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE)


@pytest.mark.parametrize(("name", "least"), [("balance_row", 100), ("pnl", 50)])
def test_too_little_evidence_is_inconclusive(name, least):
    assert judged(replace(CLEAN[name], rows=least))[0] == Verdict.PASSED
    verdict, table = judged(replace(CLEAN[name], rows=least - 1))
    assert verdict == Verdict.INCONCLUSIVE
    assert any(f"a pass needs {least}" in line.reason for line in table.values())


def test_a_partial_audit_never_passes_but_can_fail():
    assert judged(partial=True)[0] == Verdict.INCONCLUSIVE
    assert judged(CheckSeen("pnl", Verdict.FAILED, 100, 1), partial=True)[0] == Verdict.FAILED


def test_books_that_were_compared_with_no_broker_never_pass():
    table = audit_criteria(PLAN, CLEAN.values(), broker=False)
    assert merge(line.verdict for line in table) == Verdict.INCONCLUSIVE
    assert table[-1].name == "compared with the broker"


def test_an_unknown_check_is_named_together_with_those_that_there_are():
    with pytest.raises(UnknownCheckError, match=r"'luck'.*balance_row"):
        audit_plan_for("smoke", ["luck"])


def test_production_demands_more_than_a_rehearsal():
    production, rehearsal = audit_plan_for("production"), audit_plan_for("rehearsal")
    assert production.checks == rehearsal.checks
    assert production.min_balance_events > rehearsal.min_balance_events > 0
    assert production.min_executions > rehearsal.min_executions > 0


def test_every_check_that_decides_a_criterion_is_one_of_the_eighteen():
    names = audit_plan_for("production").checks
    assert len(names) == 18
    assert {*BALANCE, *COVERAGE, *PNL} <= set(names)
