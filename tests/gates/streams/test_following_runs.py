"""Which runs are followed: those that go on, and of a target that none runs the last one while an alert waits."""

from datetime import timedelta

import pytest

from gates.alerts.raising import Event, raise_event, resolve
from gates.alerts.thresholds import DEFAULTS
from gates.models import RuleWatch, Run
from gates.streams.following_runs import going_on, runs_to_follow
from tests.gates.cast import START, a_run

LATER = START + timedelta(hours=1)
SPEC = {
    "ledger": {"url": "postgresql://nobody@127.0.0.1:1/none", "schema": "wartest"},
    "broker": {"kind": "oanda", "url": "http://127.0.0.1:1", "account": "A", "token": "t"},
    "process": {"health": "http://127.0.0.1:1/health", "log": "rehearsal:nothing", "disks": ["/"]},
    "alerts": {"stop_latency_ms": 50},
}


@pytest.fixture
def run(db):
    return a_run(spec=SPEC)


def closed(run):
    Run.objects.filter(pk=run.pk).update(state="closed", verdict="inconclusive", closed_at=LATER)


def an_alert(run, by):
    event = Event("slow queries", "medium", "A query is slow.", START, {"by": [by]})
    return raise_event(event, target=run.campaign.target, run=run, now=START)


def test_a_run_that_goes_on_is_followed_by_its_targets_own_limits(run):
    followed = runs_to_follow()[run.pk]
    assert not followed.ended
    assert (followed.streams.latency_ms, followed.streams.limit_s) == (50, 2)
    assert followed.target.limits == DEFAULTS | {"stop_latency_ms": 50, "stop_missed_s": 2}
    assert (followed.target.log, followed.target.disks, followed.target.since) == ("", ("/",), START)
    RuleWatch.objects.create(run=run, rule="slow queries", state="clean", looked_at=LATER)
    assert going_on(followed.target).since == LATER, "what an earlier process has seen is not told again"


def test_limits_that_were_spoilt_do_not_switch_the_watch_off(run):
    target = run.campaign.target
    type(target).objects.filter(pk=target.pk).update(spec=SPEC | {"alerts": {"cpu_pct": "much"}})
    assert runs_to_follow()[run.pk].target.limits == DEFAULTS | {"stop_missed_s": 2}


def test_a_run_that_has_ended_is_looked_at_again_while_an_alert_of_the_watch_waits_and_none_runs(run):
    alert = an_alert(run, "watch")
    closed(run)
    assert runs_to_follow()[run.pk].ended
    next_run = a_run(start=LATER)
    assert set(runs_to_follow()) == {next_run.pk}
    closed(next_run)
    assert set(runs_to_follow()) == {next_run.pk}, "the last one stands for its target"
    assert resolve(alert.pk, rechecked_at=LATER, words="None is slow.", now=LATER)
    assert runs_to_follow() == {}


def test_what_slots_alone_have_seen_waits_for_slots(run):
    an_alert(run, "integrity")
    closed(run)
    assert runs_to_follow() == {}
