"""Ticks move campaigns on: what passed becomes ready, what changed is stopped, and a whole campaign opens its gates."""

from datetime import timedelta

import pytest

from gates.campaigns import moving
from gates.campaigns.opening import GateShutError
from gates.checks import health
from gates.models import Campaign, Finding
from tests.gates.cast import START, a_campaign, a_gate, a_run

pytestmark = pytest.mark.django_db
LATER = START + timedelta(hours=6)


@pytest.fixture(autouse=True)
def target_now(monkeypatch):
    """Stand in for the target: what it answers when it is looked at."""
    seen = {"build": "sha256:0"}
    monkeypatch.setattr(moving, "access", lambda spec: spec)
    monkeypatch.setattr(health, "observe", lambda reach: dict(seen))
    return seen


@pytest.fixture
def opened(monkeypatch):
    """Stand in for gates that open: which were asked for."""
    asked = []
    monkeypatch.setattr(moving, "open_gate", lambda campaign, gate, now: asked.append((campaign.pk, gate)))
    return asked


def test_three_gates_passed_make_a_campaign_ready():
    campaign = a_campaign(passed=(1, 2, 3))
    assert moving.advance(LATER) == 1
    campaign.refresh_from_db()
    assert campaign.state == "ready"


@pytest.mark.parametrize(("passed", "whole", "gate"), [((1,), True, 2), ((1, 2), True, 3), ((1,), False, None)])
def test_only_a_whole_campaign_opens_its_next_gate(opened, passed, whole, gate):
    campaign = a_campaign(passed=passed, whole=whole)
    moving.advance(LATER)
    assert opened == ([(campaign.pk, gate)] if gate else [])


def test_no_gate_opens_while_one_is_open_or_did_not_pass(opened):
    a_gate(a_campaign(passed=(1,), whole=True), 2, verdict=None)
    a_gate(a_campaign(whole=True, name="other"), 1, verdict="failed")
    moving.advance(LATER)
    assert opened == []


def test_of_two_ticks_at_once_one_looks(opened):
    campaign = a_campaign(passed=(1,), whole=True)
    assert moving.step(campaign.pk, LATER)
    assert not moving.step(campaign.pk, LATER)
    assert len(opened) == 1
    assert moving.step(campaign.pk, LATER + timedelta(seconds=4))


@pytest.mark.parametrize("state", ["running", "ready"])
def test_another_build_stops_the_campaign_and_says_so(target_now, state):
    campaign = a_campaign(passed=(1, 2, 3))
    Campaign.objects.filter(pk=campaign.pk).update(state=state)
    target_now["build"] = "sha256:1"
    moving.advance(LATER)
    campaign.refresh_from_db()
    assert (campaign.state, campaign.verdict) == ("stopped", "inconclusive")
    assert "build changed in mid-campaign: it is sha256:1 now" in campaign.stopped_reason


def test_a_target_that_does_not_answer_stops_nothing_and_keeps_the_gate_shut_for_a_while(target_now, monkeypatch):
    campaign = a_campaign(passed=(1,), whole=True)
    target_now.clear()

    def shut(campaign, gate, now):
        raise GateShutError("The target's build could not be seen.")

    monkeypatch.setattr(moving, "open_gate", shut)
    closed = campaign.runs.get().closed_at
    moving.advance(closed + timedelta(minutes=1))
    campaign.refresh_from_db()
    assert campaign.state == "running"
    moving.advance(closed + timedelta(minutes=11))
    campaign.refresh_from_db()
    assert campaign.state == "stopped"
    assert campaign.stopped_reason.endswith("The target's build could not be seen.")


def test_a_build_that_changed_in_mid_run_stops_the_campaign_at_once(opened):
    run = a_run()
    assert moving.due(LATER) == [], "gate 1 looks by itself"
    Finding.objects.create(
        run=run, rule="another build", level="critical", sentence="Changed.", measured="sha256:1", found_at=START
    )
    moving.advance(LATER)
    run.campaign.refresh_from_db()
    assert (run.campaign.state, run.campaign.verdict) == ("stopped", "failed")
    assert not run.slots.filter(state="due").exists()
