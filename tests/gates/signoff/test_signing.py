"""Signing: three people, each once, for what they read; everything else refused with a sentence, and nothing kept."""

from dataclasses import replace
from datetime import timedelta

import pghistory
import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from gates.alerts.commands import acknowledge
from gates.alerts.raising import resolve
from gates.campaigns.commands import go_live, stop
from gates.live_capital.commands import CannotGoLiveError, open_gate_4
from gates.models import Alert, Campaign, CodeReview, Finding, SignOff, Verification
from gates.signoff import commands, watching
from gates.signoff.commands import SignOffRefusedError
from gates.signoff.ladder import LADDER, next_rung
from gates.signoff.obstacles import obstacles
from gates.signoff.proving import PASSWORD, SECOND_FACTOR, Proof
from gates.signoff.standing import is_signed, missing, signatures
from tests.gates.cast import a_gate
from tests.gates.signoff.deciding import (
    BUILD,
    NOW,
    SIGNERS,
    WORDS,
    a_decision,
    a_strange_run,
    approved_plan,
    gone_through,
    live_and_ended,
    proof,
    team,
)
from wartest_site.environment import BASE_DIR

pytestmark = pytest.mark.django_db


@pytest.fixture
def decided():
    return a_decision()


def refused(decided, name, decision="approve", **changed):
    """Return the sentence of the refusal; no row may be left of it."""
    before = SignOff.objects.count()
    with pytest.raises(SignOffRefusedError) as error:
        decided.sign(name, decision, **changed)
    assert SignOff.objects.count() == before
    return str(error.value)


def a_finding(decided, **fields):
    run = decided.campaign.runs.get(gate=1)
    shape = {"rule": "slow query", "level": "medium", "sentence": "A query took 2 s.", "found_at": NOW}
    return Finding.objects.create(run=run, **shape | fields)


def an_alert(decided, **fields):
    shape = {"rule": "system crash", "level": "critical", "sentence": "Gone.", "event_at": NOW, "raised_at": NOW}
    shape |= {"last_at": NOW, "deadline_at": NOW + timedelta(hours=1)}
    return Alert.objects.create(target=decided.campaign.target, **shape | fields)


def test_the_last_of_three_signatures_approves_the_campaign(decided):
    assert [one.split(" has")[0] for one in missing(decided.campaign)] == [
        "The engineer",
        "The risk officer",
        "The owner",
    ]
    for name in SIGNERS:
        assert decided.state() == "ready"
        decided.sign(name)
    assert decided.state() == "approved"
    assert missing(decided.campaign) == ()
    assert is_signed(decided.campaign)
    rows = SignOff.objects.order_by("number")
    assert [(row.number, row.role, row.decision, row.build) for row in rows] == [
        (1, "engineer", "approve", BUILD),
        (2, "risk officer", "approve", BUILD),
        (3, "owner", "approve", BUILD),
    ]
    assert rows[0].authenticated_by == [{"method": "password", "at": NOW.isoformat()}]


def test_nobody_signs_twice(decided):
    decided.sign("ben")
    assert "You have decided already, as engineer: nobody signs twice." in refused(decided, "ben")


def test_nobody_signs_twice_in_two_roles(decided):
    decided.people["dora"].groups.add(Group.objects.get(name="owner"))
    decided.sign("dora")
    assert "nobody signs twice" in refused(decided, "dora", role="owner")
    assert decided.state() == "ready"


def test_a_role_decides_once(decided):
    decided.people["carla"].groups.set([Group.objects.get(name="owner")])
    decided.sign("emil")
    assert "emil has decided as owner already." in refused(decided, "carla", role="owner")


@pytest.mark.parametrize(
    ("name", "role"), [("carla", "auditor"), ("dora", "owner"), ("carla", "engineer"), ("ben", ""), ("ben", "king")]
)
def test_nobody_signs_in_a_role_that_they_do_not_have(decided, name, role):
    assert "You cannot sign as" in refused(decided, name, role=role)


def test_who_is_kept_out_signs_nothing(decided):
    decided.people["dora"].is_active = False
    assert "You cannot sign as" in refused(decided, "dora")


def test_who_started_the_campaign_does_not_approve_it(decided):
    assert "You started this campaign." in refused(decided, "anna")


@pytest.mark.parametrize("gate", [2, 3])
def test_who_started_a_gate_of_it_does_not_approve_it(gate):
    decided = a_decision(gates_started_by={gate: "emil"})
    assert f"You started gate {gate} of this campaign." in refused(decided, "emil")
    decided.sign("ben")


def test_who_worked_on_a_finding_of_it_does_not_approve_it(decided):
    found = a_finding(decided)
    with pghistory.context(user=decided.people["dora"].pk):
        Finding.objects.filter(pk=found.pk).update(state="environment", cause="The disk was slow.")
    assert "You worked on the findings of this campaign." in refused(decided, "dora")
    decided.sign("ben")


def test_a_stale_page_signs_nothing(decided):
    page = decided.asked("ben")
    Finding.objects.filter(pk=a_finding(decided).pk).update(state="environment", cause="The disk was slow.")
    with pytest.raises(SignOffRefusedError, match="The evidence changed while you read"):
        commands.sign(page, NOW)
    assert "Your page showed the build sha256:other" in refused(decided, "ben", build="sha256:other")
    assert "The evidence changed" in refused(decided, "ben", evidence_sha256="")


@pytest.mark.parametrize("profile", ["rehearsal", "smoke"])
def test_a_rehearsal_is_signed_by_nobody(decided, profile):
    other = Campaign.objects.create(target=decided.campaign.target, profile=profile, build=BUILD, started_at=NOW)
    decided.campaign = other
    assert f"A {decided.campaign.trial} cannot be signed" in refused(decided, "ben")
    assert f"A {decided.campaign.trial} cannot be signed" in refused(decided, "ben", "refuse")
    assert not is_signed(other)


def test_a_running_campaign_is_signed_by_nobody():
    people = team()
    decided = a_decision(people=people)
    decided.campaign = gone_through(people["anna"], start=NOW)
    assert "Gates 1 to 3 have not all passed yet" in refused(decided, "ben")


def test_after_the_build_changed_nothing_is_signed_and_what_was_is_void(decided):
    decided.sign("ben")
    stop(decided.campaign.pk, "The target's build changed.", verdict="failed", now=NOW)
    assert "The campaign was stopped: The target's build changed." in refused(decided, "dora")
    (one,) = signatures(Campaign.objects.get(pk=decided.campaign.pk))
    assert (one.status, one.why) == ("void", "The campaign was stopped: The target's build changed.")


def test_a_target_that_runs_another_build_is_not_signed(decided, monkeypatch):
    monkeypatch.setattr(commands, "access", lambda spec: spec)
    monkeypatch.setattr(commands.health, "observe", lambda place: {"build": "sha256:new"})
    assert "The target's build is sha256:new now and" in refused(decided, "ben")
    monkeypatch.setattr(commands.health, "observe", lambda place: {"build": BUILD})
    decided.sign("ben")


def test_a_signature_is_void_once_the_evidence_changes_and_is_given_again_for_the_new(decided):
    for name in SIGNERS:
        decided.sign(name)
    found = a_finding(decided)
    Finding.objects.filter(pk=found.pk).update(state="explained", cause="A backup ran.")
    assert not is_signed(decided.campaign)
    assert [one.status for one in signatures(decided.campaign)] == ["void"] * 3
    assert "The signature of the engineer is void. The evidence changed since" in missing(decided.campaign)[0]


def test_a_void_signature_can_be_given_again(decided):
    decided.sign("ben")
    Finding.objects.filter(pk=a_finding(decided).pk).update(state="explained", cause="A backup ran.")
    decided.sign("ben")
    assert [one.status for one in signatures(decided.campaign)] == ["void", "approved"]


@pytest.mark.parametrize(
    ("proven", "words"),
    [
        (Proof((PASSWORD,), {}), "Say again who you are first: your password."),
        (proof(NOW - timedelta(seconds=301)), "first: your password."),
        (Proof((PASSWORD, SECOND_FACTOR), {PASSWORD: NOW}), "first: your second factor."),
        (Proof((PASSWORD, SECOND_FACTOR), {SECOND_FACTOR: NOW}), "first: your password."),
    ],
)
@pytest.mark.parametrize("decision", ["approve", "refuse"])
def test_who_did_not_prove_who_they_are_decides_nothing(decided, proven, words, decision):
    assert words in refused(decided, "ben", decision, proof=proven)


@pytest.mark.parametrize("statement", ["", "   ", "ok", "x" * 4001])
def test_a_decision_says_why(decided, statement):
    assert "characters" in refused(decided, "ben", statement=statement)


@pytest.mark.parametrize("phrase", ["", "I approve", "i approve campaign 1", "I approve campaign 999"])
def test_an_approval_is_typed(decided, phrase):
    assert "Type the words “I approve campaign" in refused(decided, "ben", phrase=phrase)


@pytest.mark.parametrize("decision", ["", "withdraw", "maybe"])
def test_there_is_no_third_decision(decided, decision):
    assert "Approve or refuse" in refused(decided, "ben", decision)


def test_without_a_code_review_nobody_approves():
    decided = a_decision(reviewed=False)
    assert "No independent code review" in refused(decided, "ben")


def test_a_review_that_rejects_the_code_stands_until_its_reviewer_accepts_it(decided):
    reviewed = commands.Reviewed(decided.campaign.pk, BUILD, False, "A COMMIT is not checked.", "")
    commands.record_review(reviewed, reviewer=decided.people["carla"], now=NOW)
    assert "carla reviewed the code and does not accept it" in refused(decided, "ben")
    again = replace(reviewed, accepted=True, statement="It was a mistake of mine.")
    commands.record_review(again, reviewer=decided.people["carla"], now=NOW + timedelta(hours=1))
    decided.sign("ben")


@pytest.mark.parametrize(
    ("reviewer", "changed", "words"),
    [
        ("anna", {}, "You started this campaign: somebody else reviews"),
        ("dora", {}, "Your roles review no code"),
        ("ben", {"build": "sha256:other"}, "review that one"),
        ("ben", {"statement": "fine"}, "Say why"),
        ("ben", {"campaign_id": 999_999}, "no such campaign"),
    ],
)
def test_a_code_review_that_is_none_is_refused(decided, reviewer, changed, words):
    reviewed = replace(commands.Reviewed(decided.campaign.pk, BUILD, True, WORDS, ""), **changed)
    before = CodeReview.objects.count()
    with pytest.raises(SignOffRefusedError, match=words):
        commands.record_review(reviewed, reviewer=decided.people[reviewer], now=NOW)
    assert CodeReview.objects.count() == before


def test_an_open_critical_alert_or_one_past_its_deadline_prevents_an_approval(decided):
    critical = an_alert(decided)
    assert "1 critical alert is not resolved." in refused(decided, "ben")
    acknowledge(critical.pk, person=decided.people["carla"], words="I restarted it.", now=NOW)
    assert "critical alert" in refused(decided, "ben")
    later = NOW + timedelta(seconds=1)
    assert resolve(critical.pk, rechecked_at=later, words="It lives.", now=later)
    late = an_alert(decided, rule="slow queries", level="medium", deadline_at=NOW - timedelta(minutes=1))
    assert "past the deadline" in refused(decided, "ben")
    assert resolve(late.pk, rechecked_at=later, words="Queries take 3 ms.", now=later)
    decided.sign("ben")


def test_whoever_acknowledged_an_alert_of_the_campaign_cannot_approve_it(decided):
    alert = an_alert(decided, run=decided.campaign.runs.get(gate=1))
    acknowledge(alert.pk, person=decided.people["ben"], words="I restarted it.", now=NOW)
    later = NOW + timedelta(seconds=1)
    assert resolve(alert.pk, rechecked_at=later, words="It lives.", now=later)
    assert "You acknowledged alerts of this campaign." in refused(decided, "ben")
    decided.sign("dora")


def test_a_finding_to_investigate_prevents_an_approval(decided):
    found = a_finding(decided)
    assert "1 finding is still to investigate" in refused(decided, "ben")
    Finding.objects.filter(pk=found.pk).update(state="explained", cause="A backup ran.")
    decided.sign("ben")


def a_look(campaign, verdict, *, hours):
    wrong = ["chaos-test.json has changed in the database: it is not what was sealed."] if verdict == "failed" else []
    at = NOW + timedelta(hours=hours)
    return Verification.objects.create(campaign=campaign, verdict=verdict, wrong=wrong, at=at, took_s=1.0)


@pytest.mark.parametrize("whole", [True, False])
def test_evidence_that_was_found_changed_is_not_signed_until_a_look_passes(decided, whole):
    looked_at = None if whole else decided.campaign
    other = gone_through(decided.people["anna"], name="other")
    a_look(looked_at, "passed", hours=0)
    a_look(other, "failed", hours=9)
    decided.sign("ben")
    a_look(looked_at, "failed", hours=1)
    said = "The evidence is not what was sealed: chaos-test.json has changed in the database"
    assert refused(decided, "dora").startswith(said)
    (against,) = obstacles(decided.campaign, "capital", NOW)
    place = reverse("gates:evidence") if whole else reverse("gates:campaign_evidence", args=[decided.campaign.pk])
    assert against.address == place
    a_look(looked_at, "inconclusive", hours=2)
    assert refused(decided, "dora").startswith(said)
    a_look(looked_at, "passed", hours=3)
    decided.sign("dora")
    a_look(looked_at, "failed", hours=4)
    decided.sign("emil", "refuse", statement="Somebody has changed the evidence.")


def test_an_approval_does_not_stand_while_its_evidence_is_found_changed(decided):
    for name in SIGNERS:
        decided.sign(name)
    a_look(decided.campaign, "failed", hours=0)
    assert not is_signed(decided.campaign)
    watching.attend(NOW)
    alert = Alert.objects.get()
    assert "by an approval that does not stand any more. The evidence is not what was sealed" in str(alert)
    with pytest.raises(CannotGoLiveError, match="The evidence is not what was sealed"):
        open_gate_4(approved_plan(decided), started_by=None, now=NOW)
    a_look(decided.campaign, "passed", hours=1)
    assert is_signed(decided.campaign)
    watching.attend(NOW + timedelta(hours=1))
    alert.refresh_from_db()
    assert alert.state == "resolved"


def test_a_refusal_needs_no_phrase_and_nothing_cleared_away(decided):
    a_finding(decided)
    an_alert(decided)
    decided.sign("dora", "refuse", phrase="", statement="Nobody understands the slow query.")
    assert "The risk officer refused: Nobody understands the slow query." in missing(decided.campaign)
    assert decided.state() == "ready"


def test_a_refusal_prevents_the_approval_until_it_is_withdrawn(decided):
    no = decided.sign("dora", "refuse", statement="I want to see the review first.")
    decided.sign("ben")
    decided.sign("emil")
    assert decided.state() == "ready"
    commands.withdraw(no.pk, person=decided.people["dora"], statement="I have seen it now.", proof=proof(), now=NOW)
    assert [one.status for one in signatures(decided.campaign)] == ["withdrawn", "approved", "approved"]
    decided.sign("dora")
    assert decided.state() == "approved"
    assert SignOff.objects.count() == 5


def test_an_approval_that_is_withdrawn_stops_a_campaign_that_went_on(decided):
    rows = [decided.sign(name) for name in SIGNERS]
    go_live(decided.campaign.pk, NOW)
    commands.withdraw(
        rows[1].pk, person=decided.people["dora"], statement="The broker changed its rules.", proof=proof(), now=NOW
    )
    stopped = Campaign.objects.get(pk=decided.campaign.pk)
    assert stopped.state == "stopped"
    assert stopped.stopped_reason == "dora withdrew the approval as risk officer: The broker changed its rules."
    assert not is_signed(stopped)


def void(decided):
    """Change what is made of a finding: every signature before is for other evidence."""
    Finding.objects.filter(pk=a_finding(decided).pk).update(state="explained", cause="A backup ran.")


def test_signatures_that_became_void_after_the_approval_are_given_again(decided):
    for name in SIGNERS:
        decided.sign(name)
    void(decided)
    decided.campaign.refresh_from_db()
    for name in SIGNERS:
        assert not is_signed(decided.campaign)
        decided.sign(name)
    assert is_signed(decided.campaign)
    assert decided.state() == "approved"
    assert "The decision about live capital is made: the campaign is approved." in refused(decided, "ben")


def test_void_signatures_of_a_campaign_that_went_on_are_a_critical_alert_until_they_are_given_again(decided):
    a_strange_run(decided.campaign)
    for name in SIGNERS:
        decided.sign(name)
    watching.attend(NOW)
    assert not Alert.objects.exists()
    Finding.objects.update(cause="The disk was full.")
    for _ in range(2):
        watching.attend(NOW)
    alert = Alert.objects.get()
    assert (alert.level, alert.count, alert.state) == ("critical", 1, "open")
    assert "is approved by an approval that does not stand any more. The signature of the engineer is void" in str(
        alert
    )
    for name in SIGNERS:
        decided.sign(name)
    watching.attend(NOW + timedelta(seconds=5))
    alert.refresh_from_db()
    assert (alert.state, alert.recheck) == ("resolved", "Every signature stands.")


def test_a_refusal_of_what_became_void_stops_a_campaign_that_went_on(decided):
    for name in SIGNERS:
        decided.sign(name)
    void(decided)
    decided.sign("emil", "refuse", statement="The backup should not be there.")
    stopped = Campaign.objects.get(pk=decided.campaign.pk)
    assert (stopped.state, stopped.stopped_reason) == (
        "stopped",
        "emil refused as owner: The backup should not be there.",
    )


def test_gate_4_does_not_open_while_the_approval_is_void(decided):
    for name in SIGNERS:
        decided.sign(name)
    void(decided)
    plan = approved_plan(decided)
    with pytest.raises(CannotGoLiveError, match="The approval does not stand any more"):
        open_gate_4(plan, started_by=None, now=NOW)
    assert decided.state() == "approved"


def test_who_started_gate_4_does_not_approve_the_next_step(decided):
    for name in SIGNERS:
        decided.sign(name)
    live_and_ended(decided, started_by="emil")
    assert "You started gate 4 of this campaign." in refused(decided, "emil", stage="next step")


def test_only_ones_own_decision_is_withdrawn_and_once(decided):
    row = decided.sign("ben")

    def withdrawn_by(name, decision, **changed):
        asked = {"statement": "It was a mistake.", "proof": proof()} | changed
        return commands.withdraw(decision, person=decided.people[name], now=NOW, **asked)

    for name, decision, changed, words in (
        ("dora", row.pk, {}, "Only a decision of your own"),
        ("ben", 999_999, {}, "Only a decision of your own"),
        ("ben", row.pk, {"proof": Proof((PASSWORD,), {})}, "Say again who you are"),
        ("ben", row.pk, {"statement": ""}, "Say why"),
    ):
        with pytest.raises(SignOffRefusedError, match=words):
            withdrawn_by(name, decision, **changed)
    taken_back = withdrawn_by("ben", row.pk)
    for decision, words in ((row.pk, "withdrawn already"), (taken_back.pk, "Only a decision of your own")):
        with pytest.raises(SignOffRefusedError, match=words):
            withdrawn_by("ben", decision)


def test_where_nobody_knows_who_started_it_each_says_that_it_was_not_they():
    people = team()
    decided = a_decision(people=people)
    decided.campaign = gone_through(None, start=NOW, name="other")
    assert commands.phrase_for(decided.campaign, "capital").endswith(" and did not start it")


def test_after_gate_4_three_more_signatures_allow_the_next_step(decided):
    for name in SIGNERS:
        decided.sign(name)
    assert "The next step waits for the end of gate 4." in refused(decided, "ben", stage="next step")
    live_and_ended(decided)
    assert "the campaign is ended" in refused(decided, "ben")
    assert missing(decided.campaign, "next step")
    for name in SIGNERS:
        decided.sign(name, stage="next step")
    assert is_signed(decided.campaign, "next step")
    assert is_signed(decided.campaign)
    assert next_rung(decided.campaign).amount == 2500


def test_the_ladder_is_climbed_by_campaigns_in_a_row(decided):
    people = decided.people
    for name in SIGNERS:
        decided.sign(name)
    live_and_ended(decided)
    for name in SIGNERS:
        decided.sign(name, stage="next step")
    second = a_decision(people=people, start=NOW + timedelta(days=40))
    assert next_rung(second.campaign).amount == 10_000
    for name in SIGNERS:
        second.sign(name)
    go_live(second.campaign.pk, NOW)
    a_gate(second.campaign, 4, "failed")
    stop(second.campaign.pk, "Gate 4 was broken off.", verdict="inconclusive", now=NOW + timedelta(days=50))
    third = a_decision(people=people, start=NOW + timedelta(days=80))
    assert next_rung(third.campaign).amount == 2500


def test_the_readme_shows_the_ladder():
    readme = (BASE_DIR / "README.md").read_text()
    for rung in LADDER:
        assert f"| {rung.number} | ${rung.amount:,} |" in readme
