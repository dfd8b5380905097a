"""The pages of planted defects: the matrix, one defect down to its rows, their twins, and who may strike."""

import pytest
from django.contrib.auth.models import Group, User
from django.db import DatabaseError, transaction
from django.urls import reverse
from django.utils import timezone

from audits.findings import Finding, Level
from gates import roles
from gates.chaos import commands
from gates.chaos.commands import CannotStrikeError
from gates.chaos.messages import Channel, Direction, Point, Strike
from gates.chaos.strikes.recovery import RESTARTED, Result
from gates.chaos.trials import Trial
from gates.detection import queries
from gates.detection.catalogue import named
from gates.detection.commands import begin_rehearsal, end_rehearsal, keep
from gates.detection.rehearsing import Judged, Outcome, Rehearsed, ShownBy
from gates.models import RehearsedDefect, Target
from gates.targets.access import REHEARSAL_SPEC
from gates.targets.programs import program_of
from tests.gates.chaos.pages.staged import staged_run

pytestmark = pytest.mark.django_db

STRUCK, BY_HAND, UNRUN = "commit-repeated", "float-money", "blind-retry"
POINT = Point(Channel.LEDGER, Direction.ANSWER, "COMMIT", 2)
TRIAL = Trial("close", POINT, Strike.LOSE_ANSWER)
PAID_TWICE = Finding(
    "broker balance", Level.CRITICAL, "The books hold 0.30 more than the broker.", "100", "100.30", "0.30"
)
CHANGES = {
    "balance_events": {
        "added": {"account/7": {"event_id": "account/7", "event_type": "PNL_REALIZED", "amount": "0.30"}},
        "removed": {},
        "changed": {},
    }
}


@pytest.fixture(autouse=True)
def plain_static(settings):
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


def planted(name):
    return named(queries.planted_defects(), name)


def struck(outcome=Outcome.CAUGHT, *findings):
    messages = ["ledger: COMMIT", "→ ledger: COMMIT acknowledged", RESTARTED]
    receipt = {"message": "ledger: COMMIT acknowledged", "proof": {"reset_port": 40123}, "target_said": "in doubt"}
    result = Result(receipt=receipt, changes=CHANGES, messages=messages, log="COMMIT repeated")
    shown = ShownBy("database_connection_drop", "ledger: COMMIT acknowledged", TRIAL, result=result)
    found = findings or ((PAID_TWICE,) if outcome == Outcome.CAUGHT else ())
    return Rehearsed(planted(STRUCK), outcome, found, 12.5, shown.words, "", shown, strikes=3)


CLEAN = Judged(struck=1)


def rehearsed(*results, clean=CLEAN):
    row = begin_rehearsal([result.defect.name for result in results], now=timezone.now())
    for result in results:
        keep(row, result, now=timezone.now())
    if clean is not None:
        end_rehearsal(row, clean, now=timezone.now())
    return row


def by_hand():
    finding = Finding("amount at the broker", Level.CRITICAL, "A payment is 0.1 too high.")
    return Rehearsed(planted(BY_HAND), Outcome.CAUGHT, (finding,), 4.0, "in its books")


def member(client, role):
    roles.make_groups()
    someone, _ = User.objects.get_or_create(username=role)
    someone.groups.add(Group.objects.get(name=role))
    client.force_login(someone)
    return client


def text(client, name, *arguments):
    answer = client.get(reverse(f"gates:{name}", args=arguments))
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize(("name", "arguments"), [("defects", ()), ("defects_json", ()), ("defect", (STRUCK,))])
def test_a_stranger_is_sent_to_the_sign_in_page(client, name, arguments):
    assert client.get(reverse(f"gates:{name}", args=arguments)).status_code == 302


def test_before_any_rehearsal_each_defect_is_said_to_be_not_yet_run(client):
    shown = text(member(client, "owner"), "defects")
    assert f"<strong>0 of {len(queries.planted_defects())}</strong> defects caught" in shown
    assert shown.count('class="gate stop"') == len(queries.planted_defects())
    assert "● caught" not in shown.split("</thead>")[1].split("</tbody>")[0]
    assert "Not yet run." in text(client, "defect", STRUCK)


def test_the_matrix_says_gate_scenario_point_finding_and_time(client):
    rehearsed(struck(), by_hand())
    shown = text(member(client, "risk officer"), "defects")
    row = shown[shown.index(planted(STRUCK).title) :].split("</tr>")[0]
    assert row.count('title="not looked at there: gate 2 is the one that must catch it"') == 1
    assert row.count('class="gate never"') == 2
    assert "Database connection drop: lose the answer at <code>ledger: COMMIT acknowledged</code>" in row
    assert "broker balance" in row
    assert "12.5 s" in row
    assert "the clean desk raised nothing" in shown


@pytest.mark.parametrize(
    ("outcome", "afterwards"),
    [
        (None, "unknown"),
        (Outcome.NOT_SHOWN, "unknown"),
        (Outcome.MISSED, "through"),
        (Outcome.OTHER_REASON, "never"),
        (Outcome.CAUGHT, "never"),
    ],
)
def test_a_lane_says_nothing_of_a_gate_that_nobody_looked_at(outcome, afterwards):
    if outcome:
        rehearsed(struck(outcome, *([PAID_TWICE] if outcome == Outcome.OTHER_REASON else [])))
    lane = next(each for each in queries.standing().lanes if each.defect.name == STRUCK)
    assert lane.steps == [(1, "unknown"), (2, "stop"), (3, afterwards), (4, afterwards)]


def test_a_missed_defect_goes_on_through_the_gates_and_fails_the_catalogue(client):
    rehearsed(struck(Outcome.MISSED))
    shown = text(member(client, "owner"), "defects")
    assert 'class="now failed"' in shown
    assert "1 missed" in shown
    assert shown.count("missed by gate 2, so it goes on to this one") == 2 * 2  # of both gates: title and label


@pytest.mark.parametrize(
    ("clean", "status", "words"),
    [
        (Judged((PAID_TWICE,)), "failed", "The clean desk is accused."),
        (Judged((), ("close: nothing was seen",)), "inconclusive", "Nothing is known of the clean desk"),
        (None, "running", "a rehearsal is going on: 1 of 1 done"),
    ],
)
def test_all_caught_is_not_passed_without_a_clean_desk_that_was_judged(client, only_one, clean, status, words):
    rehearsed(struck(), clean=clean)
    assert queries.standing().status == status
    assert words in text(member(client, "owner"), "defects")


@pytest.fixture
def only_one(monkeypatch):
    """A catalogue of one defect."""
    one = (planted(STRUCK),)
    monkeypatch.setattr(queries, "planted_defects", lambda: one)


def test_a_catalogue_is_passed_when_each_is_caught_and_the_clean_desk_is_clean(only_one):
    rehearsed(struck())
    assert queries.standing().status == "passed"


def test_the_clean_desk_is_the_worst_of_the_rehearsals_that_count(client):
    rehearsed(struck(), clean=Judged((PAID_TWICE,)))
    rehearsed(by_hand())
    assert queries.standing().clean.verdict == "failed"
    rehearsed(struck())
    assert (queries.standing().clean.verdict, queries.standing().clean.strikes) == ("passed", 2)


def test_what_another_build_of_the_war_test_caught_is_said_to_be_so(client, monkeypatch):
    rehearsed(struck())
    monkeypatch.setattr(queries, "war_test_build", lambda: "0" * 16)
    assert queries.standing().stale == 1
    assert "by another build of the war test" in text(member(client, "owner"), "defects")


def test_one_defect_is_followed_down_to_the_row_that_is_wrong(client):
    rehearsed(struck())
    shown = text(member(client, "auditor"), "defect", STRUCK)
    for words in (
        planted(STRUCK).story,
        PAID_TWICE.sentence,
        "PNL_REALIZED",
        "COMMIT repeated",
        "40123",
        "the target is started again",
        f"uv run manage.py rehearse_defect {STRUCK}",
        "clerk._book_fill",
    ):
        assert words in shown
    assert "Strike here again" not in shown


def test_the_last_rehearsal_counts_and_earlier_ones_stay_in_sight(client):
    rehearsed(struck(Outcome.MISSED))
    rehearsed(struck())
    assert next(each for each in queries.standing().lanes if each.defect.name == STRUCK).status == "passed"
    shown = text(member(client, "owner"), "defect", STRUCK)
    then, _, before = shown.partition("Earlier rehearsals")
    assert 'class="now passed"' in then
    assert before.index("</span> caught") < before.index("</span> missed")


def test_every_kind_of_step_and_every_defect_has_words(client):
    member(client, "owner")
    for defect in queries.planted_defects():
        assert defect.title in text(client, "defect", defect.name).replace("&#x27;", "'")


def test_an_unknown_defect_is_not_found(client):
    member(client, "owner")
    assert client.get(reverse("gates:defect", args=["sand"])).status_code == 404


def test_the_twins_hold_what_the_pages_show(client):
    rehearsed(struck(), by_hand())
    member(client, "owner")
    told = client.get(reverse("gates:defects_json")).json()
    assert (told["caught"], told["clean_desk"]["verdict"]) == (2, "passed")
    lane = next(each for each in told["defects"] if each["name"] == STRUCK)
    assert (lane["gate"], lane["last"]["outcome"], lane["last"]["rules"]) == (2, "caught", ["broker balance"])
    assert lane["last"]["strike"]["point"] == str(POINT)
    told = client.get(reverse("gates:defect_json", args=[STRUCK])).json()
    assert told["result"]["changes"] == CHANGES
    assert told["earlier"][0]["strikes"] == 3


def test_a_live_page_with_nothing_new_answers_204(client):
    rehearsed(struck(), clean=None)
    member(client, "owner")
    cursor = queries.standing().cursor
    assert client.get(reverse("gates:defects_live"), {"since": cursor}).status_code == 204
    shown = client.get(reverse("gates:defects_live"), {"since": cursor - 1}).content.decode()
    assert f"since={cursor}" in shown


@pytest.fixture
def started(monkeypatch):
    """Stand in for a run of gate 2: what was asked for."""
    asked = []
    run = staged_run()

    def start_chaos(wanted, *, started_by, now):
        asked.append(wanted)
        return run

    monkeypatch.setattr(commands, "start_chaos", start_chaos)
    return asked


def test_an_engineer_strikes_the_defective_desk_in_the_portal_exactly_there(client, started):
    Target.objects.create(name="rehearsal", spec=REHEARSAL_SPEC, created_at=timezone.now())
    rehearsed(struck())
    member(client, "engineer")
    assert "Strike here again, in the portal" in text(client, "defect", STRUCK)
    assert client.post(reverse("gates:strike_defect", args=[STRUCK])).status_code == 302
    (asked,) = started
    assert (asked.target.name, asked.scenarios) == (f"rehearsal with {STRUCK}", ("database_connection_drop",))
    assert (asked.point, asked.strike, asked.then) == (str(POINT), "lose the answer", "")
    assert program_of(asked.target.spec).command[-2:] == ("--defect", STRUCK)


def test_a_defect_never_rehearsed_is_struck_in_its_first_scenario(client, started):
    client.post(reverse("gates:strike_defect", args=[UNRUN]))
    assert started == []
    member(client, "engineer").post(reverse("gates:strike_defect", args=[UNRUN]))
    assert (started[0].scenarios, started[0].point) == (("network_drop_during_order",), "")


@pytest.mark.parametrize("role", ["owner", "risk officer", "auditor"])
def test_who_may_not_start_runs_may_not_strike(client, started, role):
    assert member(client, role).post(reverse("gates:strike_defect", args=[STRUCK])).status_code == 403
    assert started == []


def test_what_cannot_be_struck_is_refused_in_one_sentence(client, monkeypatch):
    def refuse(*_, **__):
        raise CannotStrikeError("Chaos is going on: wait for its end.")

    monkeypatch.setattr(commands, "start_chaos", refuse)
    member(client, "engineer")
    for name, words in ((STRUCK, "Chaos is going on"), (BY_HAND, "shows without a strike")):
        shown = client.post(reverse("gates:strike_defect", args=[name]), follow=True).content.decode()
        assert words in shown


def test_what_was_kept_of_a_rehearsal_stays():
    row = rehearsed(struck())
    with pytest.raises(DatabaseError), transaction.atomic():
        RehearsedDefect.objects.update(outcome=Outcome.MISSED)
    with pytest.raises(DatabaseError), transaction.atomic():
        row.delete()
    row.clean_findings = [{"rule": "late"}]
    with pytest.raises(DatabaseError), transaction.atomic():
        row.save()


def test_a_defect_is_never_kept_as_caught_without_a_finding():
    with pytest.raises(DatabaseError), transaction.atomic():
        rehearsed(Rehearsed(planted(STRUCK), Outcome.CAUGHT, (), 1.0))
