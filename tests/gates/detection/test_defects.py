"""Every planted defect really shows, for its own reason, and the clean desk raises nothing in the same places."""

from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest

from audits.findings import Finding, Level
from audits.sources.oanda import OandaReader
from audits.verdicts import Verdict
from gates.chaos.messages import Channel, Direction, Point, Strike
from gates.chaos.strikes.recovery import Result
from gates.chaos.trials import Trial
from gates.checks import health
from gates.checks.outcome import inconclusive
from gates.detection import clean
from gates.detection.catalogue import Step, catalogue, named
from gates.detection.clean import strike_clean
from gates.detection.judgement import Judged
from gates.detection.luck import Tried, Within, kill_until_found
from gates.detection.provoking import provoke
from gates.detection.rehearsing import Outcome, judge_rules, judged, judged_after, rehearse_by_hand, rehearse_clean
from gates.detection.striking import strike_until_caught
from gates.detection.sweeping import sweep

STEPPED = [defect for defect in catalogue() if defect.steps]
DEFECTS = [defect for defect in catalogue() if defect.by_hand and defect.steps]


@pytest.mark.parametrize("name", [defect.name for defect in DEFECTS])
def test_the_books_give_it_away_for_its_own_reason(by_hand, name):
    result = by_hand[name]
    assert result.outcome == Outcome.CAUGHT, (result.rules, result.reason)


@pytest.fixture(scope="session")
def clean_by_hand(grounds):
    """The clean desk after the steps of each defect."""
    judged_of = sweep(grounds, STEPPED, lambda ground, defect: (defect.name, rehearse_clean(ground, [defect])))
    return dict(judged_of)


@pytest.mark.parametrize("name", [defect.name for defect in STEPPED])
def test_the_clean_desk_raises_nothing_after_the_steps_of_the_defect(clean_by_hand, name):
    assert clean_by_hand[name] == Judged()


@pytest.mark.parametrize(
    "step",
    [Step("control", "/no-such-thing", {}), Step("tick", "", {"instrument": "SAND"})],
    ids=["control", "tick"],
)
def test_a_step_that_the_broker_refuses_shows_nothing_of_the_defect(grounds, step):
    defect = replace(named(catalogue(), "float-money"), steps=(step,))
    result = rehearse_by_hand(grounds[0], defect)
    assert (result.outcome, result.findings) == (Outcome.NOT_SHOWN, ())
    assert "GroundError: The broker did not carry out POST " in result.reason


def test_what_could_not_be_carried_out_on_the_clean_desk_is_silent_by_name(grounds):
    nowhere = replace(named(catalogue(), "float-money"), steps=(Step("sql", "SELECT nothing_of_that_name", {}),))
    (words,) = rehearse_clean(grounds[0], [nowhere]).silent
    assert words.startswith("the steps of float-money: UndefinedColumn: ")


OPEN = (Step("ask", "open", {}),)


def test_a_desk_is_judged_to_be_the_one_that_was_started_last_and_no_other(grounds):
    with grounds[0].desk((), trading=False) as desk:
        provoke(desk, OPEN)
        first = desk.baseline
        assert health.judge(health.observe(desk.access), first).verdict == Verdict.PASSED
        provoke(desk, [Step("start", "", {})])
        assert judged(desk) == Judged()
        desk.baseline = first
        assert {finding.rule for finding in judged(desk).findings} == {"another process"}


@pytest.mark.parametrize("steps", [OPEN, (*OPEN, Step("watch", "", {"for_s": 0.1}))], ids=["at rest", "watched"])
def test_where_health_proves_nothing_nothing_is_known_of_the_desk(grounds, monkeypatch, steps):
    monkeypatch.setattr(health, "judge", lambda seen, baseline: inconclusive("Nobody looked."))
    seen = judged_after(grounds[0], (), steps, trading=False)
    assert (seen.findings, set(seen.silent)) == ((), {"health: Nobody looked."})
    assert len(seen.silent) == len(steps)


def found(*rules):
    return [Finding(rule, Level.CRITICAL, "") for rule in rules]


def test_nothing_found_is_missed_and_another_rule_is_another_reason():
    assert judge_rules(("a", "b"), found()) == Outcome.MISSED
    assert judge_rules(("a", "b"), found("a", "c")) == Outcome.OTHER_REASON
    assert judge_rules(("a", "b"), found("c", "b", "a")) == Outcome.CAUGHT


DEALT = {  # units dealt at the broker: by the defective desk, by the clean one
    "blind-retry": (2000, 1000),
    "close-by-opposite-order": (3000, 2000),
    "close-next-again": (4000, 3000),
    "lookup-believed-once": (2000, 1000),
    "recovery-sends-again": (2000, 1000),
}


def dealt(ground, defects, steps):
    with ground.desk(defects, trading=False) as desk:
        provoke(desk, steps)
        judged(desk)  # once it has come to rest
        with OandaReader(desk.access.broker_url, desk.account, desk.access.broker_token) as broker:
            fills = [record for record in broker.transactions() if record["type"] == "ORDER_FILL"]
    return sum(abs(int(fill["units"])) for fill in fills)


@pytest.mark.parametrize("name", DEALT)
def test_more_is_dealt_than_was_asked_for(grounds, name):
    defect = named(catalogue(), name)
    assert (dealt(grounds[0], (name,), defect.steps), dealt(grounds[0], (), defect.steps)) == DEALT[name]


def test_what_could_not_be_struck_is_not_shown_rather_than_missed():
    nowhere = "postgresql://nobody@127.0.0.1:1/postgres"
    result = strike_until_caught(nowhere, named(catalogue(), "blind-retry"))
    assert result.outcome == Outcome.NOT_SHOWN
    assert "strikes made: 0 of 0" in result.reason


def clean_after(url, trial):
    """What a strike finds on the clean desk; one that its background shifted says nothing, and is made again."""
    for _ in range(3):
        judged = strike_clean(url, [trial])
        if not judged.silent:
            break
    return judged


def test_a_strike_at_the_answer_finds_the_blind_retry_and_nothing_on_the_clean_desk(postgres_server):
    result = strike_until_caught(postgres_server.url(), named(catalogue(), "blind-retry"))
    assert result.outcome == Outcome.CAUGHT, (result.rules, result.reason)
    assert "lose the answer at broker: POST orders answered 201" in result.where
    assert clean_after(postgres_server.url(), result.shown_by.trial) == Judged(struck=1)


def test_a_strike_in_the_recovery_finds_what_is_marked_done_before_it_is_booked(postgres_server):
    result = strike_until_caught(postgres_server.url(), named(catalogue(), "done-before-booked"))
    assert result.outcome == Outcome.CAUGHT, (result.rules, result.reason)
    assert result.shown_by.trial.then is not None
    assert result.shown_by.result.receipt["then"]["proof"]["signal"] == "SIGKILL"


@pytest.mark.parametrize("within", Within)
def test_a_random_kill_raises_nothing_on_the_clean_desk(postgres_server, within):
    assert kill_until_found(postgres_server.url(), None, "open", within, kills=1) == Tried(1, 0, found=False)


def test_a_random_kill_finds_what_each_restart_after_money_moved_shows(postgres_server):
    defect = named(catalogue(), "booked-again-at-start")
    tried = kill_until_found(postgres_server.url(), defect, "close", Within.OPERATION, kills=20)
    assert tried.found
    assert 1 <= tried.alarms <= tried.kills <= 20


def test_a_clean_desk_that_could_not_be_struck_is_not_called_clean():
    trial = Trial("open", Point(Channel.BROKER, Direction.ANSWER, "POST orders", 1), Strike.LOSE_ANSWER)
    seen = strike_clean("postgresql://nobody@127.0.0.1:1/postgres", [trial])
    (words,) = seen.silent
    assert words.startswith("the clean desk could not be struck: ")
    assert seen.struck == 0


class Cells:
    """A cell on which nothing is struck for real: each strike shows what was prepared for its message."""

    def __init__(self, monkeypatch, *shown):
        self.shown = list(shown)
        known = [SimpleNamespace(point=Point(Channel.LEDGER, Direction.ANSWER, "COMMIT", 1))]
        self.clean_run = SimpleNamespace(baseline=SimpleNamespace(points=known))
        for name in ("desk_cell", "record_clean", "try_patiently"):
            monkeypatch.setattr(clean, name, getattr(self, name))

    @asynccontextmanager
    async def desk_cell(self, *_, **__):
        yield None

    async def record_clean(self, *_):
        return self.clean_run

    async def try_patiently(self, *_):
        shown = self.shown.pop(0)
        if isinstance(shown, Exception):
            raise shown
        return shown


def trial_at(label):
    return Trial("open", Point(Channel.LEDGER, Direction.ANSWER, label, 1), Strike.LOSE_ANSWER)


ACCUSED = Result(Verdict.FAILED, receipt={}, findings=found("exposure"))


def test_what_was_found_on_the_clean_desk_stays_found_when_the_next_strike_breaks_off(monkeypatch):
    Cells(monkeypatch, ACCUSED, TimeoutError("too late"))
    seen = strike_clean("", [trial_at("COMMIT"), trial_at("COMMIT")])
    assert [finding.rule for finding in seen.findings] == ["exposure"]
    assert (seen.struck, len(seen.silent)) == (1, 1)


@pytest.mark.parametrize(
    ("label", "result", "struck"),
    [
        ("COMMIT", Result(Verdict.PASSED, receipt={}), 1),
        ("COMMIT", Result(applies=False), 0),
        ("never said by it", ACCUSED, 0),
    ],
)
def test_only_a_strike_that_was_made_on_the_clean_desk_is_counted(monkeypatch, label, result, struck):
    Cells(monkeypatch, result)
    assert strike_clean("", [trial_at(label)]) == Judged(struck=struck)
