"""What is wrong with a target is said in one sentence: by a slot that stays inconclusive, or by a refusal to start."""

from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from datetime import datetime, timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from audits.verdicts import Verdict
from gates import commands, engine, plans, stepping
from gates.models import Campaign, Run, Slot, Target
from gates.plans import PlanError
from gates.targets.access import TargetUnreachableError
from tests.audits.answers import answering, as_json
from tests.gates.cast import a_run
from wartest_site import starting
from wartest_site.management.commands import run_72_hour_test


@pytest.fixture
def slot_of(books, db):
    """Do a slot of a run of the desk, whose description may be changed first; return its result."""

    def do(check_name, **changes):
        spec = {section: values | changes.get(section, {}) for section, values in books.spec.items()}
        run = a_run(start=timezone.now() - timedelta(seconds=15), spec=spec)
        slot = run.slots.filter(check_name=check_name).first()
        assert stepping.step(engine.claim(slot.pk, worker="a", now=slot.due_at))
        return Slot.objects.get(pk=slot.pk).result

    return do


@contextmanager
def done(books, do, undo):
    books.run(*do)
    try:
        yield
    finally:
        books.run(*undo)


LEDGERS = {
    "a relation is missing": (
        "ALTER TABLE wartest.reconciliations RENAME TO away",
        "ALTER TABLE wartest.away RENAME TO reconciliations",
        "has no relation wartest.reconciliations: create the view",
    ),
    "a column is missing": (
        "ALTER TABLE wartest.accounts RENAME balance TO cash",
        "ALTER TABLE wartest.accounts RENAME cash TO balance",
        "has no column wartest.accounts.balance: add it to the view",
    ),
    "money is a binary fraction": (
        "ALTER TABLE wartest.positions ALTER entry_price TYPE double precision",
        "ALTER TABLE wartest.positions ALTER entry_price TYPE numeric",
        "wartest.positions.entry_price is double precision: make it numeric",
    ),
    "times have no zone": (
        "ALTER TABLE wartest.reconciliations ALTER started_at TYPE timestamp",
        "ALTER TABLE wartest.reconciliations ALTER started_at TYPE timestamptz",
        "wartest.reconciliations.started_at is timestamp without time zone: make it timestamptz",
    ),
}


@pytest.mark.parametrize("check_name", ["positions", "integrity"])
@pytest.mark.parametrize("wrong", LEDGERS)
def test_a_ledger_that_is_not_the_contracts_leaves_the_slot_inconclusive(books, slot_of, check_name, wrong):
    do, undo, words = LEDGERS[wrong]
    with done(books, [do], [undo]):
        result = slot_of(check_name)
    assert result.verdict == Verdict.INCONCLUSIVE
    assert words in result.reason
    assert "\n" not in result.reason


def test_a_ledger_that_is_not_ours_to_read_names_the_right_that_is_missing(books, slot_of):
    stranger = books.ledger_url.replace("wartest:", "stranger:", 1)
    create = f"CREATE ROLE stranger LOGIN PASSWORD '{stranger.split(':')[2].split('@')[0]}'"
    with done(books, [create], ["DROP ROLE stranger"]):
        result = slot_of("positions", ledger={"url": stranger})
    assert result.verdict == Verdict.INCONCLUSIVE
    assert "may not read" in result.reason
    assert "grant" in result.reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ledger": {"url": "postgresql://nobody@127.0.0.1:1/none"}}, "cannot be reached"),
        ({"ledger": {"schema": "elsewhere"}}, "has no relations in the schema elsewhere: create the views"),
        ({"broker": {"token": "another"}}, "with 401: check the token and the account"),
        ({"broker": {"account": "101-001-0000001-999"}}, "check the token and the account"),
        ({"broker": {"url": "http://127.0.0.1:1"}}, "gave no usable answer"),
        ({"ledger": {"url": "env:NOT_SET_ANYWHERE"}}, "NOT_SET_ANYWHERE, which is not set: set it"),
    ],
)
@pytest.mark.parametrize("check_name", ["positions", "integrity"])
def test_a_ledger_or_broker_out_of_reach_leaves_the_slot_inconclusive(slot_of, check_name, changes, words):
    result = slot_of(check_name, **changes)
    assert result.verdict == Verdict.INCONCLUSIVE
    assert words in result.reason


@pytest.mark.parametrize("check_name", ["positions", "integrity", "stops"])
@pytest.mark.parametrize(("kind", "words"), [("html", "no JSON"), ("unauthorised", "with 401")])
def test_a_broker_that_answers_html_or_401_leaves_the_slot_inconclusive(books, slot_of, check_name, kind, words):
    books.fault(kind=kind, times=1000)
    try:
        result = slot_of(check_name)
    finally:
        books.broker.control("DELETE", "/faults")
    assert result.verdict == Verdict.INCONCLUSIVE
    assert words in result.reason


def test_a_broker_whose_times_have_no_zone_is_not_believed(slot_of):
    records = [{"id": "1", "type": "CREATE", "time": "2026-03-01T12:00:00", "accountID": "a"}]
    account = {
        "id": "a",
        "currency": "USD",
        "balance": "1",
        "openTradeCount": 0,
        "lastTransactionID": "1",
        "trades": [],
    }
    answers = {"account": account, "transactions": records, "lastTransactionID": "1"}
    with answering(lambda path, query: as_json(answers)) as broker:
        result = slot_of("positions", broker={"url": broker.url})
    assert result.verdict == Verdict.INCONCLUSIVE
    assert "has no zone" in result.reason


@pytest.fixture
def target(books, db):
    return Target.objects.create(name="desk", spec=books.spec, created_at=timezone.now())


def start(target, *, profile="smoke", now=None):
    return commands.start_campaign(target, profile=profile, started_by=None, now=now or timezone.now())


def test_a_well_target_starts_with_its_own_minima_in_the_runs_plan(target):
    target.spec["evidence"] = {"smoke": {"min_touches": 7, "reconciliation_limit_ms": 250}}
    run = start(target)
    assert run.plan | {"min_touches": 7, "reconciliation_limit_ms": 250} == run.plan
    known = {"pid", "started_ticks", "build", "configuration", "description", "last_transaction_id", "environment"}
    assert run.baseline.keys() == known | {"account"}
    assert "at least 7 touched" in commands.criteria_of(run)[1].required
    with pytest.raises(commands.CannotStartError, match="one run at a time"):
        start(target)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"process": {"health": "http://127.0.0.1:1/health"}}, commands.CannotStartError, "does not answer"),
        ({"process": {"health": "no address"}}, commands.CannotStartError, "does not answer"),
        ({"process": {}}, TargetUnreachableError, r"lacks \[process\] health: add it"),
        ({"evidence": {"smoke": {"min_touches": 0}}}, PlanError, "give a whole number above 0"),
        ({"evidence": {"smoke": {"min_luck": 1}}}, PlanError, "min_luck is unknown"),
        ({"evidence": {"smoke": 5}}, PlanError, "give names and whole numbers"),
        ({"evidence": 5}, PlanError, "give names and whole numbers"),
    ],
)
def test_a_target_that_cannot_be_judged_is_not_started_and_nothing_is_half_written(target, changes, error, words):
    target.spec |= changes
    with pytest.raises(error, match=words):
        start(target)
    assert not Campaign.objects.exists()
    assert not Run.objects.exists()


def test_a_target_that_is_ill_is_not_started_since_it_would_fail_at_once(books, target):
    with answering(lambda path, query: as_json({"status": "failing", "reason": "no broker", "pid": 1}, 503)) as ill:
        target.spec["process"] = {"health": f"{ill.url}/health"}
        with pytest.raises(commands.CannotStartError, match=r"not well: no broker\. See to the target, then start"):
            start(target)
    assert not Run.objects.exists()


def test_a_profile_of_zero_minutes_and_a_time_without_a_zone_are_refused(target, monkeypatch):
    with pytest.raises(PlanError, match="needs a time zone"):
        start(target, now=datetime(2026, 3, 1))  # noqa: DTZ001
    monkeypatch.setattr(plans, "PLANS", (replace(plans.plan_for("smoke"), duration_s=0),))
    with pytest.raises(PlanError, match="'smoke' lasts no time"):
        start(target)
    assert not Run.objects.exists()


@pytest.fixture
def without_a_stack(monkeypatch):
    monkeypatch.setattr(run_72_hour_test, "background_stack", nullcontext)
    monkeypatch.setattr(starting, "ANSWER_S", 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--profile", "quick"], "There is no profile 'quick': choose one of production, rehearsal, smoke."),
        (["--profile", "smoke", "--target", "nobody"], "There is no target 'nobody'; known targets: desk."),
        (["--profile", "smoke", "--target", "desk"], "The target does not answer at its health address"),
    ],
)
def test_the_command_says_one_sentence_and_exits_2(target, without_a_stack, capsys, arguments, words):
    target.spec["process"] = {"health": "http://127.0.0.1:1/health"}
    target.save()
    with pytest.raises(SystemExit) as ended:
        call_command("run_72_hour_test", *arguments)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.err.startswith(words)
    assert len(said.err.splitlines()) == 1
    assert said.out == ""


def test_the_plan_of_the_row_judges_the_run_whatever_the_code_says_now(books, db, monkeypatch):
    run = a_run()
    asked_then = commands.criteria_of(run)[1].required
    changed = tuple(replace(plan, min_touches=1_000) for plan in plans.PLANS)
    monkeypatch.setattr(plans, "PLANS", changed)
    assert commands.criteria_of(Run.objects.get(pk=run.pk))[1].required == asked_then
    assert run.plan["min_touches"] == asdict(plans.Plan.stored(run.plan))["min_touches"] == 3
