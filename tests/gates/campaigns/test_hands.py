"""Hands, each for real: a desk that trades by itself is left alone, and whoever touches it is found and named."""

import uuid
from datetime import timedelta

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.db.utils import DatabaseError
from django.utils import timezone

from gates import commands, engine, stepping
from gates.campaigns import pauses
from gates.campaigns.reviews import ReviewRefusedError, missed_reviews, write_review
from gates.checks import health
from gates.models import Beat, Review, Run, Slot, SlotResult, Target
from tests.gates.cast import START, a_run
from tests.gates.rehearsal.desk.processes import TOKEN, running_broker, running_desk, wait_until
from tests.gates.rehearsal.desk.transactions import ACCOUNT

pytestmark = pytest.mark.django_db
STILL = ("--no-trading", "--reconcile-every-s", "3600", "--stop-pips", "300", "--take-profit-pips", "300")


class Watched:
    """A desk at its broker, and a run of gate 1 that watches it."""

    def __init__(self, broker, desk, ledger_url):
        self.broker, self.desk, self.ledger_url = broker, desk, ledger_url
        spec = {
            "ledger": {"url": ledger_url, "schema": "wartest"},
            "broker": {"url": broker.url, "account": ACCOUNT, "token": TOKEN},
            "process": {"health": f"http://127.0.0.1:{desk.port}/health"},
        }
        self.target = Target.objects.create(name="watched", spec=spec, created_at=START)
        self.run = commands.start_campaign(
            self.target, profile="rehearsal", started_by=None, now=timezone.now() - timedelta(minutes=5)
        )

    def look(self):
        """Do the oldest slot of the check that is still due. Returns its result."""
        waiting = self.run.slots.filter(check_name="hands", state="due").order_by("due_at")
        Slot.objects.filter(run=self.run).update(grace_until=timezone.now() + timedelta(minutes=5))
        slot = engine.claim(waiting.first().pk, worker="test", now=timezone.now())
        assert stepping.step(slot)
        return SlotResult.objects.get(slot=slot)

    def interventions(self):
        return list(self.run.events.filter(kind="intervention").values_list("sentence", flat=True))

    def sql(self, statement, *values):
        with psycopg.connect(self.ledger_url, autocommit=True) as connection:
            connection.execute(statement, values)


@pytest.fixture(scope="module")
def desk(postgres_server):
    ledger_url = postgres_server.create_database(f"watched_{uuid.uuid4().hex[:8]}")
    with running_broker("--no-feed") as broker, running_desk(ledger_url, broker.url, *STILL) as desk:
        wait_until(desk.is_well, what="the desk is well")
        yield broker, desk, ledger_url


@pytest.fixture
def watched(desk):
    return Watched(*desk)


def market(units, **more):
    order = {"type": "MARKET", "instrument": "EUR_USD", "units": units, "timeInForce": "FOK", "positionFill": "DEFAULT"}
    return {"order": order | more}


def test_a_desk_that_opens_reduces_moves_and_closes_by_itself_shows_no_hands(watched):
    for operation in ("open", "open", "partial_fill", "margin_update", "close", "reconcile"):
        assert watched.desk.ask(operation).status_code == 200
        assert watched.look().reason == ""
    assert watched.interventions() == []
    assert sum(SlotResult.objects.values_list("measured__transactions", flat=True)) > 5


def test_orders_closes_stops_and_transfers_past_the_desk_are_each_found_once_and_by_name(watched):
    watched.desk.ask("open", instrument="EUR_USD")
    assert watched.look().verdict == "passed"
    trade = watched.broker.get("/openTrades")["trades"][0]
    watched.broker.send("PUT", f"/trades/{trade['id']}/orders", {"stopLoss": {"price": "0.90000"}})
    watched.broker.send("PUT", f"/trades/{trade['id']}/close", {"units": "1"})
    watched.broker.send("POST", "/orders", market("100"))
    watched.broker.control("POST", "/transfers", {"account_id": ACCOUNT, "amount": "250.00"})
    assert watched.look().verdict == "failed"
    found = watched.interventions()
    for words in (
        "Stop changed by hand",
        "Position closed by hand",
        "Order that the target did not send",
        "Money moved",
    ):
        assert sum(line.startswith(words) for line in found) == 1, found
    assert watched.look().verdict == "passed", "what was found once is not found again"
    watched.desk.ask("reconcile")


def test_a_target_that_tells_its_settings_no_more_leaves_nobodys_hands_unproven(watched, monkeypatch):
    observe, silent = health.observe, "configuration"
    assert watched.run.baseline[silent]
    monkeypatch.setattr(
        health, "observe", lambda reach: {key: told for key, told in observe(reach).items() if key != silent}
    )
    found = watched.look()
    assert (found.verdict, silent in found.reason) == ("inconclusive", True)


def test_a_row_that_is_final_is_found_changed_or_deleted_at_every_later_look(watched):
    watched.desk.ask("open", instrument="USD_JPY")
    assert watched.look().verdict == "passed"
    watched.sql("UPDATE wartest.position_events SET payload = '{}' WHERE event_type = 'POSITION_CREATED'")
    watched.sql("DELETE FROM wartest.balance_events WHERE sequence = 1")
    first, second = watched.look(), watched.look()
    assert first.verdict == second.verdict == "failed"
    found = watched.interventions()
    assert any("of position_events was judged and says something else now" in line for line in found), found
    assert any("1 rows of balance_events that were judged are not there any more" in line for line in found), found
    assert len(found) == len(set(found)), "each is written down once"


def test_a_restart_and_other_settings_are_hands_though_the_desk_is_well_again(desk, postgres_server):
    broker, _, _ = desk
    ledger_url = postgres_server.create_database(f"restarted_{uuid.uuid4().hex[:8]}")
    with running_desk(ledger_url, broker.url, *STILL) as first:
        wait_until(first.is_well, what="the desk is well")
        watched, port = Watched(broker, first, ledger_url), first.port
        assert watched.look().verdict == "passed"
    with running_desk(ledger_url, broker.url, *STILL, "--max-open", "3", port=port) as second:
        wait_until(second.is_well, what="the desk is well again")
        assert watched.look().verdict == "failed"
    found = watched.interventions()
    assert any(line.startswith("Another process: ") for line in found)
    assert any(line.startswith("Another configuration: ") for line in found)
    assert not any(line.startswith("Another build: ") for line in found)


def test_a_description_changed_in_mid_run_is_a_hand(watched):
    Target.objects.filter(pk=watched.target.pk).update(spec=watched.target.spec | {"evidence": {"smoke": {}}})
    assert watched.look().verdict == "failed"
    assert watched.interventions()[0].startswith("Description changed in mid-run: ")


def test_a_slot_closed_by_sql_is_a_hand(watched):
    slot = watched.run.slots.filter(check_name="stops").first()
    Slot.objects.filter(pk=slot.pk).update(state="done", verdict="passed")
    assert watched.look().verdict == "failed"
    assert watched.interventions() == [
        f"Slot closed by hand: The slot {slot} was closed by hand: it has no result of its own claim."
    ]


def test_a_ledger_that_cannot_be_read_rules_out_no_hands(watched):
    watched.target.spec["ledger"]["url"] = watched.ledger_url + "_none"
    Target.objects.filter(pk=watched.target.pk).update(spec=watched.target.spec)
    seen = watched.look()
    assert (seen.verdict, seen.reason[:33]) == ("inconclusive", "Nobody's hands can be ruled out: ")


def test_a_slot_closed_by_sql_at_the_very_end_fails_the_run_when_it_closes():
    run = a_run()
    Slot.objects.filter(run=run).update(state="done", verdict="passed")
    closed = commands.close_run(run.pk, START)
    assert closed.verdict == "failed"
    hands = next(line for line in closed.criteria if line["name"] == "nobody's hands")
    assert (hands["verdict"], hands["measured"][:3]) == ("failed", "22 ")


@pytest.mark.parametrize(("away_s", "found"), [(30, 0), (61, 1)])
def test_a_portal_that_did_not_tick_for_long_is_a_hand(away_s, found):
    run = a_run()
    Beat.objects.create(kind="tick", last_at=START + timedelta(seconds=5))
    now = START + timedelta(seconds=5 + away_s)
    pauses.note_pause(now)
    pauses.note_pause(now)
    sentences = list(run.events.filter(kind="intervention").values_list("sentence", flat=True))
    assert len(sentences) == found
    if found:
        assert sentences == ["Portal paused: Nobody watched for 61 s: no tick from 12:00:05 to 12:01:06 UTC."]


def test_a_pause_while_nothing_was_to_be_watched_is_none():
    run = a_run()
    Run.objects.filter(pk=run.pk).update(state="closed", verdict="failed", closed_at=START)
    Beat.objects.create(kind="tick", last_at=START)
    pauses.note_pause(START + timedelta(days=1))
    assert not run.events.filter(kind="intervention").exists()


@pytest.fixture
def review(watched):
    return watched.run.reviews.get(number=2)


def test_a_rehearsal_owes_three_reviews_and_one_written_in_time_is_no_intervention(watched, review):
    person = User.objects.create_user("anna")
    write_review(review.pk, person=person, words="  all quiet,\n no alert ", now=review.opens_at)
    review.refresh_from_db()
    assert (review.words, review.person, review.done_at) == ("all quiet, no alert", person, review.opens_at)
    assert watched.run.reviews.count() == 3
    assert missed_reviews(watched.run, watched.run.planned_end + timedelta(seconds=1)) == 2
    assert watched.interventions() == []


@pytest.mark.parametrize(
    ("words", "shift_s", "refusal"),
    [
        (" ", 0, "Say in a line"),
        ("x" * 501, 0, "at most 500"),
        ("ok", -1, "opens at"),
        ("ok", 101, "is missed: it stays so"),
    ],
)
def test_a_review_out_of_its_time_or_without_words_is_refused(review, words, shift_s, refusal):
    person = User.objects.create_user("anna")
    with pytest.raises(ReviewRefusedError, match=refusal):
        write_review(review.pk, person=person, words=words, now=review.opens_at + timedelta(seconds=shift_s))
    assert not Review.objects.filter(done_at__isnull=False).exists()


def test_a_review_is_written_once_even_by_sql(review):
    person = User.objects.create_user("anna")
    write_review(review.pk, person=person, words="all quiet", now=review.opens_at)
    with pytest.raises(ReviewRefusedError, match="before you"):
        write_review(review.pk, person=person, words="again", now=review.opens_at)
    for change in ({"words": "better"}, {"person": None, "words": "", "done_at": None}):
        with pytest.raises(DatabaseError), transaction.atomic():
            Review.objects.filter(pk=review.pk).update(**change)
    late = Review.objects.filter(run=review.run, number=1)
    after = late.get().due_at + timedelta(seconds=1)
    with pytest.raises(DatabaseError), transaction.atomic():
        late.update(person=person, words="late", done_at=after)
