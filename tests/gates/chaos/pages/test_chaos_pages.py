"""The pages of gate 2: who may see and start, what they show, their twins, and when a live part has nothing new."""

import re
import shlex

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from gates import roles
from gates.chaos import commands
from gates.chaos.cells.noise import Noise
from gates.chaos.commands import CannotStrikeError
from gates.chaos.reporting import chaos_report_fields
from gates.models import CrashPoint, Run, ScenarioRun, Slot, Target
from gates.signoff.shown import gates_shown, untested
from tests.gates.chaos.pages.staged import START, close, staged_run, strike, strike_all

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def plain_static(settings):
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def run():
    return staged_run()


@pytest.fixture
def started(monkeypatch):
    """Stand in for a target that can be struck: what was asked for, and a run is there."""
    asked = []

    def start_chaos(wanted, *, started_by, now):
        asked.append((wanted, started_by.get_username()))
        return Run.objects.get()

    monkeypatch.setattr(commands, "start_chaos", start_chaos)
    return asked


def member(client, role):
    roles.make_groups()
    someone, _ = User.objects.get_or_create(username=role)
    someone.groups.add(Group.objects.get(name=role))
    client.force_login(someone)
    return client


def text(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, address
    return answer.content.decode()


def addresses(run):
    over = run.scenarios.get(number=1)
    failed = over.crash_points.get(verdict="failed")
    pages = [run.get_absolute_url(), over.get_absolute_url(), failed.get_absolute_url(), reverse("gates:chaos")]
    return [*pages, *(f"{page.rstrip('/')}.json" for page in pages), reverse("gates:scenario_live", args=[over.pk])]


def test_every_page_asks_who_you_are(client, run):
    for address in addresses(run):
        assert client.get(address)["Location"].startswith(reverse("account_login")), address


def test_every_page_and_twin_is_there_for_whoever_signed_in(client, run):
    member(client, "owner")
    for address in addresses(run):
        assert client.get(address).status_code == 200, address


@pytest.mark.parametrize("name", ["scenario", "scenario_json", "scenario_live", "crash_point", "crash_point_json"])
def test_what_is_not_there_is_a_page_that_says_so(client, name):
    assert member(client, "owner").get(reverse(f"gates:{name}", args=[999])).status_code == 404


def test_pages_carry_no_inline_style_or_script(client, run):
    member(client, "owner")
    for address in addresses(run)[:4]:
        page = text(client, address)
        assert not re.search(r"<[^>]+\s(style|on\w+)=", page), address


def test_the_run_page_tells_how_it_strikes_and_that_it_does_not_count(client, run):
    page = text(member(client, "owner"), run.get_absolute_url())
    assert "sampled: 6 strikes of each kind, quick mode" in page
    assert "Not counted as gate 2." in page
    assert "Gate 1 has not passed: gates open in order." in page
    assert page.count('href="/scenarios/') == 12
    for words in ("Kill during trade open", "Database deadlock", "Slow database queries", "1 failed", "1 min 35 s"):
        assert words in page, words


def test_the_twin_of_a_run_counts_what_its_page_shows(client, run):
    twin = member(client, "owner").get(f"/runs/{run.pk}.json").json()
    first, second, third, *waiting = twin["scenarios"]
    assert first["crash_points"] == {
        "planned": 13,
        "done": 13,
        "passed": 11,
        "failed": 1,
        "inconclusive": 1,
        "not_applicable": 0,
        "receipts": 12,
    }
    assert (second["status"], second["crash_points"]["done"], second["crash_points"]["planned"]) == ("running", 2, 4)
    assert second["crash_points"]["not_applicable"] == 1
    assert (third["status"], third["phase"], third["recovery"]["max_ms"]) == ("running", "armed", None)
    assert {line["status"] for line in waiting} == {"waiting"}
    assert first["recovery"]["max_ms"] == 321.0
    assert twin["totals"]["heals"] == {"written": 17, "healed": 15, "undone_by_hand": 0}
    assert (twin["sampled"], twin["mode"], twin["counted"]) == (6, "quick", False)


def test_while_strikes_wait_only_a_failure_is_a_verdict(client, run):
    twin = member(client, "owner").get(f"/runs/{run.pk}.json").json()
    verdicts = {line["name"]: line["verdict"] for line in twin["criteria"]}
    assert verdicts["zero data corruption"] == "failed"
    assert "inconclusive" not in verdicts.values()


def test_a_strike_is_a_link_in_its_colour_shape_and_word(client, run):
    over = run.scenarios.get(number=1)
    page = text(member(client, "owner"), over.get_absolute_url())
    failed = over.crash_points.get(verdict="failed")
    link = re.search(rf'<a id="strike-{failed.pk}"[^>]*>', page)[0]
    assert 'class="failed"' in link
    assert f'href="{failed.get_absolute_url()}"' in link
    assert 'aria-label="kill before at broker: POST orders answered 201: failed, recovered in 319 ms"' in link
    stands = over.crash_points.filter(same_as__isnull=False).first()
    assert 'class="passed stands"' in re.search(rf'<a id="strike-{stands.pk}"[^>]*>', page)[0]
    assert page.count('tabindex="0" href="/crash-points/') == 2  # one in each chart
    assert "ledger: SELECT FROM heartbeats" in page


def test_second_strikes_stand_beside_the_messages_of_the_recovery(client, run):
    over = run.scenarios.get(number=1)
    before, after = over.crash_points.exclude(then_point="")
    twin = member(client, "owner").get(f"/scenarios/{over.pk}.json").json()
    (recovery,) = twin["second_strikes"]
    assert recovery["first"] == before.first_id
    (message,) = recovery["messages"]
    assert (message["label"], message["at_ms"]) == (before.then_label, None)
    assert [(each["crash_point"], each["fault"]) for each in message["strikes"]] == [
        (before.pk, "kill before"),
        (after.pk, "kill after"),
    ]
    for address in (over.get_absolute_url(), before.first.get_absolute_url()):
        drawn = text(member(client, "owner"), address).partition("Second strikes, in the recovery")[2]
        assert f'id="strike-{after.pk}"' in drawn


def test_words_from_the_wire_are_only_words(client, run):
    baseline = run.scenarios.get(number=2).baselines.get()
    messages = [baseline.messages[0] | {"label": "ledger: <script>alert(1)</script>"}]
    fresh = run.scenarios.get(number=4)
    fresh.baselines.create(
        operation="open", clean={}, messages=messages, background=[], took_ms=1, recorded_at=run.planned_start
    )
    page = text(member(client, "owner"), fresh.get_absolute_url())
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_what_was_struck_from_one_position_is_said_and_what_from_two_is_not(client, run):
    scenario = run.scenarios.get(number=4)
    opened = [{"type": "ORDER_FILL", "tradeOpened": {"tradeID": str(number)}} for number in (1, 2)]
    for operation, held in (("close", 1), ("replay", 2)):
        clean = {"start": {"ledger": {}, "broker": opened[:held]}}
        scenario.baselines.create(
            operation=operation, clean=clean, messages=[], background=[], took_ms=1, recorded_at=run.planned_start
        )
    page = text(member(client, "owner"), scenario.get_absolute_url())
    assert "Close was struck from 1 open position, as a target is that refuses a second." in page
    assert "Replay was struck" not in page
    twin = client.get(reverse("gates:scenario_json", args=[scenario.pk])).json()
    assert twin["positions_held"] == {"close": 1, "replay": 2}
    (told,) = [each for each in untested(run.campaign, gates_shown(run.campaign)) if "position" in each.what]
    assert "Struck from one open position: close." in told.because


def test_what_is_left_out_of_a_durable_state_is_named_and_where_nothing_is_left_out_nothing_is(client, run):
    scenario = run.scenarios.get(number=1)
    owner, say = member(client, "owner"), "it differs from one clean run to the next, and is left out"
    assert say not in text(owner, scenario.get_absolute_url())
    noise = Noise(columns=frozenset({("own", "jobs", "took_ms")}), tables=frozenset({("own", "beats")}))
    clean = {"start": {"broker": []}, "noise": noise.shape()}
    scenario.baselines.create(
        operation="close", clean=clean, messages=[], background=[], took_ms=1, recorded_at=run.planned_start
    )
    page = text(owner, scenario.get_absolute_url())
    assert f"Close: {say}" in page
    assert "<code>own.beats (all of it)</code>, <code>own.jobs.took_ms</code>." in page
    assert "no recovery stands for another" in page
    named = {"close": ["own.beats (all of it)", "own.jobs.took_ms"]}
    assert client.get(reverse("gates:scenario_json", args=[scenario.pk])).json()["not_compared"] == named
    assert chaos_report_fields(run)["scenarios"][0]["not_compared"] == named
    (told,) = [each for each in untested(run.campaign, gates_shown(run.campaign)) if "two clean runs" in each.what]
    assert "whatever differed in own.beats (all of it), own.jobs.took_ms." in told.because


def test_from_how_many_states_a_recovery_sends_nothing_is_said(client):
    run = staged_run(depth=2)
    scenario = run.scenarios.get(number=1)
    kill = {"operation": "open", "point": "ledger:request:1:BEGIN", "label": "ledger: BEGIN", "position": 0}
    kill |= {
        "strike": "kill before",
        "state_after_kill": "quiet",
        "recovery": {"silent": True},
        "receipt": {"tries": 1},
    }
    scenario.crash_points.create(number=9_001, verdict="passed", phase="done", **kill)
    page = text(member(client, "owner"), scenario.get_absolute_url())
    assert "From 1 of them a recovery sends nothing, twice over, and is well" in page
    (told,) = [each for each in untested(run.campaign, gates_shown(run.campaign)) if "some recoveries" in each.what]
    assert told.because == "States from which one sends nothing, so that no message of it could be struck: 1."


def test_the_same_as_a_table_names_every_message_and_strike(client, run):
    over = run.scenarios.get(number=1)
    page = text(member(client, "owner"), f"{over.get_absolute_url()}?as=table")
    assert '<svg class="sequence"' not in page
    for label in ("ledger: COMMIT acknowledged", "broker: POST orders answered 201"):
        assert f"<code>{label}</code>" in page
    assert "target → broker" in page
    assert page.count('class="one"') == 13


def test_a_scenario_that_waits_says_what_will_appear(client, run):
    page = text(member(client, "owner"), run.scenarios.get(number=9).get_absolute_url())
    assert "The clean run is being recorded" in page
    assert "hx-get" in page


def test_a_live_scenario_answers_204_until_something_moves_and_its_last_render_asks_no_more(client, run):
    member(client, "owner")
    going = run.scenarios.get(number=2)
    address = reverse("gates:scenario_live", args=[going.pk])
    run.refresh_from_db()
    assert client.get(address, {"since": run.cursor}).status_code == 204
    assert b"hx-get" in client.get(address, {"since": run.cursor - 1}).content
    close(going, "passed")
    last = client.get(address, {"since": run.cursor})
    assert last.status_code == 200
    assert b"hx-get" not in last.content


def test_the_live_part_of_a_run_is_that_of_gate_2(client, run):
    run.refresh_from_db()
    address = reverse("gates:live", args=[run.pk])
    member(client, "owner")
    assert client.get(address, {"since": run.cursor}).status_code == 204
    assert "scenario-rows" in client.get(address, {"since": 0}).content.decode()


def test_a_crash_point_shows_its_proof_its_findings_and_the_rows_it_changed(client, run):
    failed = run.scenarios.get(number=1).crash_points.get(verdict="failed")
    page = text(member(client, "owner"), failed.get_absolute_url())
    for words in ("SIGKILL", "11.5 ms", "orphan position".capitalize(), "trade 13", "100000.0000 → 99999.5000"):
        assert words in page, words
    assert "does not answer &lt;yet&gt;" in page
    assert 'class="struck"' in page
    assert "healed" in page
    assert "recovering" in page


def test_identical_is_said_proudly_and_only_where_something_was_compared(client, run):
    member(client, "owner")
    over = run.scenarios.get(number=1)
    compared = over.crash_points.get(strike="kill after")
    assert "<strong>Identical.</strong>" in text(client, compared.get_absolute_url())
    for point in (over.crash_points.get(verdict="inconclusive"), over.crash_points.filter(same_as__gt=0).first()):
        assert "Identical" not in text(client, point.get_absolute_url())


@pytest.mark.parametrize(
    ("number", "words"), [(1, "the target came back"), (2, "struck; reload"), (3, "not applicable"), (4, "nobody has")]
)
def test_a_crash_point_says_where_it_is(client, run, number, words):
    point = run.scenarios.get(number=2).crash_points.get(number=number)
    assert words in text(member(client, "owner"), point.get_absolute_url())


def test_the_command_that_repeats_a_strike_names_target_scenario_operation_point_and_strike(client, run):
    failed = run.scenarios.get(number=1).crash_points.get(verdict="failed")
    words = shlex.split(member(client, "owner").get(f"/crash-points/{failed.pk}.json").json()["repeat"])
    asked = dict(zip(words[4::2], words[5::2], strict=True))
    assert asked == {
        "--target": "fx-desk",
        "--scenario": "kill_during_trade_open",
        "--operation": "open",
        "--point": failed.point,
        "--strike": "kill before",
    }


def test_an_engineer_strikes_the_same_point_again_as_a_run_of_its_own(client, run, started):
    failed = run.scenarios.get(number=1).crash_points.get(verdict="failed")
    member(client, "engineer")
    assert "Strike here again" in text(client, failed.get_absolute_url())
    answer = client.post(reverse("gates:repeat_point", args=[failed.pk]))
    assert answer["Location"] == run.get_absolute_url()
    ((asked, who),) = started
    assert (asked.target.name, asked.profile, asked.scenarios) == ("fx-desk", "rehearsal", ("kill_during_trade_open",))
    assert (asked.point, asked.strike, asked.then, who) == (failed.point, "kill before", "", "engineer")


@pytest.mark.parametrize("role", ["auditor", "risk officer", "owner"])
def test_who_may_not_start_is_offered_nothing_and_refused(client, run, started, role):
    member(client, role)
    point = CrashPoint.objects.first()
    assert "Strike here again" not in text(client, point.get_absolute_url())
    assert "Start chaos" not in text(client, reverse("gates:chaos"))
    assert client.post(reverse("gates:repeat_point", args=[point.pk])).status_code == 403
    assert client.post(reverse("gates:start_chaos"), {"target": "fx-desk", "profile": "smoke"}).status_code == 403
    assert started == []


def test_nothing_is_struck_by_following_a_link_or_from_another_site(run, started):
    client = member(Client(enforce_csrf_checks=True), "engineer")
    for address in (reverse("gates:start_chaos"), reverse("gates:repeat_point", args=[CrashPoint.objects.first().pk])):
        assert client.get(address).status_code == 405
        assert client.post(address, {"target": "fx-desk", "profile": "smoke"}).status_code == 403
    assert started == []


def test_an_engineer_starts_one_scenario_or_all(client, run, started):
    member(client, "engineer")
    form = {"target": "fx-desk", "profile": "smoke"}
    client.post(reverse("gates:start_chaos"), form | {"scenario": ""})
    client.post(reverse("gates:start_chaos"), form | {"scenario": "database_deadlock"})
    assert [asked.scenarios for asked, _ in started] == [(), ("database_deadlock",)]
    assert {asked.profile for asked, _ in started} == {"smoke"}


def test_the_form_offers_what_a_target_adds_to_the_twelve_by_name_and_all_of_it(client):
    own = {"name": "answer_lost", "title": "Lost answer", "operation": "open", "strike": "lose the answer"}
    Target.objects.create(name="fx-desk", spec={"scenarios": [own]}, created_at=START)
    Target.objects.create(name="odd-desk", spec={"scenarios": [own | {"operation": "sing"}]}, created_at=START)
    page = text(member(client, "engineer"), reverse("gates:chaos"))
    (added,) = re.findall(r"<optgroup.*?</optgroup>", page)
    assert added == ("""<optgroup label="fx-desk's own"><option value="answer_lost">Lost answer</option></optgroup>""")
    assert '<option value="">all, and the target\'s own</option>' in page


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"target": "nobody", "profile": "smoke"}, "There is no such target"),
        ({"target": "fx-desk", "profile": "forever"}, "There is no profile &#x27;forever&#x27;"),
        ({"target": "fx-desk", "profile": "smoke", "scenario": "rain"}, "There is no scenario &#x27;rain&#x27;"),
    ],
)
def test_what_cannot_start_is_said_in_one_sentence_and_leaves_nothing(client, form, words):
    Target.objects.create(name="fx-desk", spec={}, created_at=START)
    answer = member(client, "engineer").post(reverse("gates:start_chaos"), form, follow=True)
    assert words in answer.content.decode()
    assert not Run.objects.exists()


def test_a_strike_that_cannot_be_repeated_says_why_on_its_own_page(client, run, monkeypatch):
    def refused(*args, **options):
        raise CannotStrikeError("Chaos on fx-desk is going on: wait for its end.")

    monkeypatch.setattr(commands, "start_chaos", refused)
    point = CrashPoint.objects.first()
    answer = member(client, "engineer").post(reverse("gates:repeat_point", args=[point.pk]), follow=True)
    assert answer.redirect_chain[0][0] == point.get_absolute_url()
    assert "wait for its end" in answer.content.decode()


def test_an_empty_list_says_what_will_appear(client):
    page = text(member(client, "owner"), reverse("gates:chaos"))
    assert "No chaos yet." in page
    assert "manage.py run_chaos_scenarios" in page


def test_a_scenario_is_shown_beside_its_earlier_selves_of_the_same_target(client, run):
    close(run.scenarios.get(number=2), "passed")
    later = ScenarioRun.objects.get(run=staged_run(), number=2)
    twin = member(client, "owner").get(f"/scenarios/{later.pk}.json").json()
    assert [line["run"] for line in twin["earlier"]] == [later.run_id, run.pk]
    assert [line["status"] for line in twin["earlier"]] == ["running", "passed"]


def test_a_scenario_says_whether_its_earlier_self_made_the_same_strikes_with_the_same_verdicts(client, run):
    later = ScenarioRun.objects.get(run=staged_run(), number=1)
    member(client, "owner")
    assert "identical</strong>: 13 strikes, the same verdicts" in text(client, later.get_absolute_url())
    strike(later, 5, "kill after")
    twin = client.get(f"/scenarios/{later.pk}.json").json()
    this, earlier = (line["compared_with_this"] for line in twin["earlier"])
    assert this is None
    assert (earlier["identical"], earlier["same"], len(earlier["only_later"])) == (False, 13, 1)
    assert "≠ 1 only in the later; 13 the same" in text(client, later.get_absolute_url())


def test_a_scenario_that_came_to_another_verdict_by_the_same_strikes_is_not_called_identical(client, run):
    earlier, later = run.scenarios.get(number=1), ScenarioRun.objects.get(run=staged_run(), number=1)
    was, shown = earlier.slot.verdict, later.get_absolute_url()
    member(client, "owner")
    Slot.objects.filter(pk=later.slot_id).update(verdict="inconclusive")
    assert f"≠ as a whole {was} → inconclusive; 13 the same" in text(client, shown)
    _, compared = (line["compared_with_this"] for line in client.get(f"/scenarios/{later.pk}.json").json()["earlier"])
    assert (compared["identical"], compared["own"]) == (False, [was, "inconclusive"])


def test_two_scenarios_without_a_strike_are_identical_where_their_verdict_is_as_in_their_reports(client, run):
    later = ScenarioRun.objects.get(run=staged_run(), number=4)
    for each in (run.scenarios.get(number=4), later):
        close(each, "inconclusive")
    member(client, "owner")
    said = "≡ identical</strong>: nothing was struck, the same verdict</span>"
    assert said in text(client, later.get_absolute_url())


def test_a_scenario_of_the_targets_own_is_not_one_of_twelve(client, run):
    member(client, "owner")
    over = run.scenarios.get(number=1)
    assert "scenario 1 of 12" in text(client, over.get_absolute_url())
    ScenarioRun.objects.filter(pk=over.pk).update(name="answer_lost", number=13)
    page = text(client, over.get_absolute_url())
    assert "a scenario of the target's own" in page
    assert "of 12" not in page


def test_a_strike_made_alone_is_no_campaign_and_is_shown_where_it_struck(client, run):
    failed = run.scenarios.get(number=1).crash_points.get(verdict="failed")
    alone = staged_run(only_point=failed.point)
    again = alone.scenarios.get(number=1).crash_points.get(verdict="failed")
    later = staged_run()
    member(client, "owner")

    def campaigns(of):
        told = client.get(f"/scenarios/{of.scenarios.get(number=1).pk}.json").json()
        return [line["run"] for line in told["earlier"]]

    assert campaigns(later) == [later.pk, run.pk]
    assert campaigns(alone) == [alone.pk, run.pk]
    told = client.get(f"/crash-points/{failed.pk}.json").json()["struck_again"]
    assert [(each["run"], each["alone"]) for each in told] == [(later.pk, False), (alone.pk, True)]
    assert told[1]["status"] == "failed"
    page = text(client, failed.get_absolute_url()).partition("Struck here again")[2]
    assert f'href="{again.get_absolute_url()}">chaos {alone.pk}</a> <span class="quiet">alone</span>' in page
    assert page.count("this one") == 1


def test_a_strike_elsewhere_or_of_another_kind_is_not_the_same(client, run):
    before, after = run.scenarios.get(number=1).crash_points.filter(then_point="", position=3)
    member(client, "owner")
    assert (before.fault, after.fault) == ("kill before", "kill after")
    for point in (before, after):
        assert client.get(f"/crash-points/{point.pk}.json").json()["struck_again"] == []
        assert "Struck here again" not in text(client, point.get_absolute_url())


def test_a_scenario_says_when_each_phase_was_reached_and_how_long_it_lasted(client, run):
    member(client, "owner")
    over, _, armed = run.scenarios.order_by("number")[:3]
    page = text(client, over.get_absolute_url())
    (steps,) = re.findall(r'<ol class="steps">.*?</ol>', page)
    assert re.findall(r"<strong>(\w+)</strong>", steps) == ["armed", "done"]
    assert "1 min 35 s" in steps
    assert 'class="reached" title="armed 11:00:00"' in text(client, run.get_absolute_url())
    assert "appear here, each with its time" in text(client, armed.get_absolute_url())


@pytest.mark.django_db
def queries(client, address):
    with CaptureQueriesContext(connection) as asked:
        text(client, address)
    return len(asked)


def test_a_page_asks_the_database_as_often_for_many_strikes_as_for_few(client, run):
    member(client, "owner")
    scenario = run.scenarios.get(number=1)
    pages = [each.get_absolute_url() for each in (run, scenario, scenario.crash_points.get(verdict="failed"))]
    few = [queries(client, page) for page in pages]
    for _ in range(3):
        strike_all(scenario)
    assert [queries(client, page) for page in pages] == few


def test_a_slow_scenario_tells_how_long_it_kept_the_target_waiting_and_whether_it_gave_up(client, run):
    scenario = run.scenarios.get(name="slow_database_queries")
    points = [
        strike(scenario, 2, "delay", parameters={"delay_ms": ms}, receipt={"proof": {"delay_ms": ms}, "gave_up": words})
        for ms, words in ((500, ""), (11_000, "it hung up"))
    ]
    page = text(member(client, "owner"), scenario.get_absolute_url())
    assert re.findall(r'data-label="(?:Length|It gave up)" class="num">([^<]+)<', page) == [
        *("500 ms", "0 of 1"),
        *("11.00 s", "1 of 1"),
    ]
    twin = client.get(reverse("gates:scenario_json", args=[scenario.pk])).json()
    assert [(each["length_ms"], each["gave_up"]) for each in twin["delays"]] == [(500, 0), (11_000, 1)]
    short, long = (text(client, point.get_absolute_url()) for point in points)
    assert "yes: it hung up" in long
    assert "no timeout of its own was seen to be reached" in short
    assert "How long it was kept waiting" not in text(client, run.scenarios.get(number=1).get_absolute_url())
