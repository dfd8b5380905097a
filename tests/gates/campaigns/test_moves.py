"""The moves of a campaign: in order, once, and by no shortcut, neither in Python nor in SQL."""

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction

from audits.verdicts import Verdict
from gates.campaigns import commands
from gates.campaigns.commands import CampaignRefusedError
from gates.models import Campaign, CodeReview, Run, SignOff
from tests.gates.cast import START, a_campaign, a_gate, a_ready_campaign, a_run, signed

pytestmark = pytest.mark.django_db
STATES = ("running", "ready", "approved", "live", "ended", "stopped")


def sql(statement, *values):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)


def in_state(state, profile="production"):
    campaign = a_campaign(profile=profile) if state == "running" else a_ready_campaign(profile=profile)
    if state in {"approved", "live", "ended"}:
        commands.approve(signed(campaign).pk, START)
    if state in {"live", "ended"}:
        commands.go_live(campaign.pk, START)
    if state == "ended":
        a_gate(campaign, 4)
        commands.end(campaign.pk, Verdict.PASSED, START)
    if state == "stopped":
        commands.stop(campaign.pk, "It was stopped.", verdict=Verdict.INCONCLUSIVE, now=START)
    return Campaign.objects.get(pk=campaign.pk)


@pytest.mark.parametrize("state", STATES)
def test_sql_moves_a_campaign_only_where_it_may_go(state):
    allowed = {
        "running": {"stopped"},  # it becomes ready by three gates that passed, and this one has none
        "ready": {"stopped"},  # it becomes approved by people, and nobody has signed this one
        "approved": {"live", "stopped"},
        "live": {"ended", "stopped"},
    }.get(state, set())
    moved = set()
    for to in set(STATES) - {state}:
        campaign = in_state(state)
        reason = "why" if to == "stopped" else ""
        verdict = {"stopped": "inconclusive", "ended": "passed"}.get(to)
        move = "UPDATE gates_campaign SET state = %s, stopped_reason = %s, verdict = %s, ended_at = now() WHERE id = %s"
        try:
            sql(move, to, reason, verdict, campaign.pk)
            moved.add(to)
        except DatabaseError:
            campaign.refresh_from_db()
            assert campaign.state == state
        Campaign.objects.filter(pk=campaign.pk).exclude(state__in=("stopped", "ended")).update(
            state="stopped", stopped_reason="aside", verdict="inconclusive", ended_at=START
        )
    assert moved == allowed


def test_sql_inserts_no_campaign_beyond_its_beginning():
    target = a_campaign().target_id
    columns = "target_id, profile, build, state, stopped_reason, whole, repeat_reason, started_at"
    with pytest.raises(DatabaseError):
        sql(
            f"INSERT INTO gates_campaign ({columns}) VALUES (%s, 'production', 'x', 'ready', '', false, '', now())",
            target,
        )


def test_sql_neither_deletes_a_campaign_nor_changes_what_it_is_for():
    campaign = a_ready_campaign()
    for statement in (
        "DELETE FROM gates_campaign WHERE id = %s",
        "UPDATE gates_campaign SET profile = 'production', build = 'another' WHERE id = %s",
        "UPDATE gates_campaign SET started_at = now() WHERE id = %s",
    ):
        with pytest.raises(DatabaseError):
            sql(statement, campaign.pk)


@pytest.mark.parametrize(("passed", "gate"), [((1,), 3), ((1,), 1), ((1, 2), 2), ((1, 2, 3), 4), ((), 4)])
def test_no_gate_opens_out_of_its_order_by_sql(passed, gate):
    campaign = a_campaign(passed=passed)
    if not passed:
        a_gate(campaign, 1, verdict=None)
    with pytest.raises(DatabaseError), transaction.atomic():
        a_gate(campaign, gate)
    assert campaign.runs.filter(gate=gate).count() == (1 if gate in passed else 0)


def test_a_gate_that_did_not_pass_keeps_the_next_one_shut():
    campaign = a_campaign()
    a_gate(campaign, 1, verdict="inconclusive")
    with pytest.raises(DatabaseError, match="in order"):
        a_gate(campaign, 2)


def test_a_stopped_campaign_opens_no_gate():
    campaign = a_campaign(passed=(1,))
    commands.stop(campaign.pk, "It was stopped.", verdict=Verdict.INCONCLUSIVE, now=START)
    with pytest.raises(DatabaseError, match="stopped"):
        a_gate(campaign, 2)


@pytest.mark.parametrize(
    ("state", "move", "words"),
    [
        ("running", commands.approve, "is running and cannot become approved: it would have to be ready"),
        ("ready", commands.go_live, "is ready and cannot become live: it would have to be approved"),
        ("stopped", commands.approve, "is stopped"),
        ("approved", commands.approve, "is approved and cannot become approved"),
        ("ended", commands.go_live, "is ended"),
    ],
)
def test_a_move_out_of_turn_is_refused_in_one_sentence(state, move, words):
    campaign = in_state(state)
    with pytest.raises(CampaignRefusedError, match=words):
        move(campaign.pk, START)
    campaign.refresh_from_db()
    assert campaign.state == state


def test_a_rehearsal_is_never_approved_but_may_rehearse_gate_4():
    campaign = a_ready_campaign(profile="rehearsal")
    with pytest.raises(CampaignRefusedError, match="A rehearsal cannot be signed"):
        commands.approve(campaign.pk, START)
    with pytest.raises(DatabaseError):
        sql("UPDATE gates_campaign SET state = 'approved' WHERE id = %s", campaign.pk)
    assert commands.go_live(campaign.pk, START).state == "live"


def test_sql_approves_no_campaign_that_fewer_than_two_people_approved_or_one_refused():
    approve = "UPDATE gates_campaign SET state = 'approved' WHERE id = %s"
    unsigned, signed_by_one, refused, approved = (a_ready_campaign() for _ in range(4))
    SignOff.objects.bulk_create(_decisions(signed_by_one, ["approve"]) + _decisions(refused, ["approve", "refuse"]))
    for campaign in (unsigned, signed_by_one, refused):
        with pytest.raises(DatabaseError, match="is not signed"):
            sql(approve, campaign.pk)
    sql(approve, signed(approved).pk)


def _decisions(campaign, decisions):
    """Return decisions of different people in different roles about this campaign."""
    people = [User.objects.get_or_create(username=f"person {number}")[0] for number, _ in enumerate(decisions)]
    CodeReview.objects.create(
        campaign=campaign, build=campaign.build, reviewer=people[0], accepted=True, statement="Read.", at=START
    )
    return [
        SignOff(
            campaign=campaign,
            stage="capital",
            number=number,
            role=f"role {number}",
            person=person,
            decision=decision,
            statement="Said.",
            evidence_sha256="0" * 64,
            build=campaign.build,
            authenticated_by=[],
            at=START,
        )
        for number, (person, decision) in enumerate(zip(people, decisions, strict=True), start=1)
    ]


def test_a_campaign_ends_only_by_a_gate_4_that_passed():
    campaign = in_state("live")
    with pytest.raises(CampaignRefusedError, match=r"No gate 4 of .* has passed"):
        commands.end(campaign.pk, Verdict.PASSED, START)
    a_gate(campaign, 4)
    ended = commands.end(campaign.pk, Verdict.PASSED, START)
    assert (ended.state, ended.verdict, ended.ended_at) == ("ended", "passed", START)


def test_a_failed_gate_4_stops_the_campaign_and_a_worse_verdict_stays():
    campaign = in_state("live")
    stopped = commands.end(campaign.pk, Verdict.INCONCLUSIVE, START)
    assert (stopped.state, stopped.stopped_reason) == ("stopped", "Gate 4 inconclusive.")
    commands.stop(campaign.pk, "again", verdict=Verdict.FAILED, now=START)
    commands.stop(campaign.pk, "again", verdict=Verdict.INCONCLUSIVE, now=START)
    campaign.refresh_from_db()
    assert (campaign.verdict, campaign.stopped_reason) == ("failed", "Gate 4 inconclusive.")


def test_stopping_ends_what_waits_in_the_open_run_as_holes():
    run = a_run()
    commands.stop(run.campaign_id, "The build changed.", verdict=Verdict.FAILED, now=START)
    assert set(run.slots.values_list("state", "verdict")) == {("hole", "inconclusive")}
    assert "22 slots are not judged any more" in run.events.get().sentence
    assert Run.objects.get(pk=run.pk).is_open, "the next tick closes it by its rows"
