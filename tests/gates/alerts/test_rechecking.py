"""Who saw an alert must see that it is well: a check by a later slot that passed, the watch by a later look."""

from datetime import timedelta

import pytest

from audits.findings import Finding, Level
from audits.verdicts import Verdict
from gates import engine
from gates.alerts.raising import Event, raise_event
from gates.alerts.rechecking import recheck
from gates.alerts.rules import BY_NAME
from gates.alerts.rules.rule import Breach, Judgement
from gates.alerts.watching.keeping import keep
from gates.alerts.watching.run_watch import RuleStanding
from gates.checks.outcome import Outcome
from gates.models import Alert, RuleWatch
from tests.gates.cast import START, a_run

RULE = "balance equation violation"
BROKEN = Finding("balance row", Level.CRITICAL, "Row 7 does not add up.", "0", "1")


def after(seconds):
    return START + timedelta(seconds=seconds)


@pytest.fixture
def run(db):
    return a_run()


def a_slot_says(run, check_name, at_s, *findings, measured=None):
    slot = run.slots.filter(check_name=check_name, state="due").order_by("due_at").first()
    run.slots.filter(pk=slot.pk).update(grace_until=after(10_000))
    mine = engine.claim(slot.pk, worker="a", now=after(at_s))
    verdict = Verdict.FAILED if findings else Verdict.PASSED
    outcome = Outcome(verdict, measured=measured or {}, findings=findings)
    assert engine.record(mine, outcome, started_at=after(at_s), now=after(at_s))


def states(run):
    return dict(Alert.objects.filter(run=run).values_list("rule", "state"))


def test_a_finding_of_a_slot_is_raised_as_its_rule_and_resolved_by_a_later_slot_of_its_check_alone(run):
    a_slot_says(run, "integrity", 10, BROKEN, BROKEN)
    alert = Alert.objects.get(run=run)
    assert (alert.rule, alert.count, alert.threshold) == (RULE, 2, "0")
    assert alert.cause["by"] == ["integrity"]
    assert alert.cause["finding"] == "balance row"
    a_slot_says(run, "positions", 20)
    assert recheck(after(21)) == 0
    a_slot_says(run, "integrity", 30)
    assert recheck(after(31)) == 1
    alert.refresh_from_db()
    assert (alert.state, alert.rechecked_at) == ("resolved", after(30))
    assert alert.recheck.startswith("The slot integrity at ")


def test_a_finding_that_is_none_of_the_thirteen_keeps_its_name(run):
    a_slot_says(run, "integrity", 10, Finding("order stuck", Level.HIGH, "Order 9 is stuck."))
    assert states(run) == {"order stuck": "open"}


def test_stops_are_well_again_only_where_one_was_touched_later(run):
    a_slot_says(run, "stops", 1, Finding("stop touched, not executed", Level.CRITICAL, "Stop 7 was not executed."))
    assert states(run) == {"missed SL/TP trigger": "open"}
    a_slot_says(run, "stops", 30, measured={"touches": 0})
    assert recheck(after(31)) == 0
    a_slot_says(run, "stops", 40, measured={"touches": 2})
    assert recheck(after(41)) == 1


class Watching:
    """Stands for a watch of the run that has judged one rule."""

    def __init__(self, run, judgement, at_s, *, fired_s=None, live=False):
        clean = (after(at_s), judgement.clean) if judgement.clean else (None, "")
        fired_at = None if fired_s is None else after(fired_s)
        self.watched = type("Watched", (), {"run_id": run.pk, "target_id": run.campaign.target_id, "live": live})
        self.standings = {RULE: RuleStanding(BY_NAME[RULE], judgement, after(at_s), frozenset(), fired_at, *clean)}


CLEAN = Judgement(clean="All adds up.")
FIRING = Judgement((Breach("7", "Row 7 does not add up.", START, "0"),))


def seen_by(run, *who, at_s=10):
    event = Event(RULE, "critical", "Row 7 does not add up.", after(at_s), {"by": list(who)})
    return raise_event(event, target=run.campaign.target, run=run, now=after(at_s))


def test_a_clean_look_resolves_and_the_rule_says_so_in_its_row(run):
    seen_by(run, "watch")
    keep([Watching(run, CLEAN, 9)], {}, after(9))
    assert states(run) == {RULE: "open"}, "a look that began before it happened proves nothing"
    keep([Watching(run, CLEAN, 11)], {}, after(12))
    assert states(run) == {RULE: "resolved"}
    row = RuleWatch.objects.get(run=run)
    assert (row.state, row.words, row.clean_at) == ("clean", "All adds up.", after(11))


def test_words_that_cannot_be_stored_keep_no_alert_from_being_resolved(run):
    alert = seen_by(run, "watch")
    keep([Watching(run, Judgement(clean="Last: \0."), 11)], {}, after(12))
    alert.refresh_from_db()
    assert (alert.state, alert.recheck) == ("resolved", "Last: \ufffd.")
    assert RuleWatch.objects.get(run=run).words == "Last: \ufffd."


def test_what_fires_on_is_seen_again_but_not_counted_and_no_look_of_before_resolves_it(run):
    alert = seen_by(run, "watch")
    keep([Watching(run, FIRING, 20, fired_s=20)], {}, after(20))
    alert.refresh_from_db()
    assert (alert.last_at, alert.count, alert.state) == (after(20), 1, "open")
    assert RuleWatch.objects.get(run=run).state == "firing"


def test_what_a_slot_saw_is_not_resolved_by_the_watch_and_the_other_world_proves_nothing(run):
    seen_by(run, "watch")
    keep([Watching(run, CLEAN, 20, live=True)], {}, after(20))
    assert states(run) == {RULE: "open"}
    a_slot_says(run, "integrity", 30, BROKEN)
    assert sorted(Alert.objects.get(run=run).cause["by"]) == ["integrity", "watch"]
    keep([Watching(run, CLEAN, 40)], {}, after(40))
    assert states(run) == {RULE: "open"}
    a_slot_says(run, "integrity", 50)
    assert recheck(after(51)) == 1
