"""Months: a failed day ends gate 4, a missed one starts again at day 1, and what was seen stays."""

import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.db import DatabaseError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from audits.verdicts import Verdict
from gates import commands, engine, reports, roles
from gates.alerts.raising import raise_alert
from gates.alerts.rechecking import WATCH
from gates.live_capital import months
from gates.live_capital.commands import CannotGoLiveError
from gates.live_capital.pages import stop_reason
from gates.live_capital.plan_commands import decide_plan, propose_plan
from gates.live_capital.standing import days_of
from gates.models import Campaign, LiveRun, Run, Slot, Target
from gates.targets.access import REHEARSAL_SPEC
from tests.gates.cast import START, a_ready_campaign, signed

from .staged import a_month, filled

pytestmark = pytest.mark.django_db
DAY = timedelta(seconds=10)


@pytest.fixture(autouse=True)
def plain(settings, tmp_path):
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    folders = {"wartest_home": tmp_path, "reports_dir": tmp_path / "reports"}
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update=folders)


def closed(run, now=START + timedelta(minutes=5)):
    return commands.close_run(run.pk, now)


def test_a_whole_month_passes_and_ends_the_campaign_with_a_report_that_the_schema_knows():
    run = closed(filled(a_month()))
    assert run.verdict == "passed"
    run.campaign.refresh_from_db()
    assert (run.campaign.state, run.campaign.verdict) == ("ended", "passed")
    content = reports.write(run.pk, timezone.now()).content
    assert content["kind"] == "live-capital"
    assert [day["verdict"] for day in content["capital"]["days"]] == ["passed"] * 3
    assert content["target"]["environment"] == "rehearsal"


def test_a_month_out_of_its_turn_never_passes_a_campaign():
    run = closed(filled(a_month(counted=False)))
    run.campaign.refresh_from_db()
    assert run.verdict == "passed"
    assert (run.campaign.state, run.campaign.verdict) == ("stopped", "inconclusive")


def test_a_slot_belongs_to_the_day_in_which_its_window_ends():
    run = a_month()
    days = days_of(run, START)
    assert sum(day.planned for day in days) == run.slots.count()
    assert [day.planned for day in days] == [9, 10, 10]  # a full audit at the end of the second and the last


@pytest.mark.parametrize("check", ["limits", "hands", "books", "stops", "health"])
def test_a_failed_day_closes_the_month_and_stops_the_campaign(check):
    run = filled(a_month(), {check: Verdict.FAILED}, until=START + DAY)
    assert months.close_broken(START + DAY) == 1
    assert not run.slots.filter(state=Slot.State.DUE).exists()
    run = closed(run)
    run.campaign.refresh_from_db()
    assert (run.verdict, run.campaign.state) == ("failed", "stopped")
    assert months.to_begin() == []


def test_a_critical_alert_of_the_watch_fails_its_day_though_every_slot_is_clean():
    run = filled(a_month())
    words, at = "The target has not answered for 10 s.", START + DAY + timedelta(seconds=3)
    cause = {"by": [WATCH]}
    raise_alert(run, rule="system crash", level="critical", sentence=words, event_at=at, now=at, cause=cause)
    assert [day.status for day in days_of(run, START + 4 * DAY)] == ["passed", "failed", "passed"]
    assert stop_reason(run) == words
    run = closed(run)
    (row,) = [line for line in run.criteria if line["name"].startswith("days")]
    assert (run.verdict, row["reason"]) == ("failed", f"Day 2 failed: {words}")


def test_a_missed_day_closes_the_month_and_leaves_the_campaign_to_the_next_one():
    run = filled(a_month(), until=START + DAY)
    engine.close_holes(START + 2 * DAY + timedelta(seconds=200))
    months.close_broken(START + 3 * DAY)
    run = closed(run)
    run.campaign.refresh_from_db()
    assert (run.verdict, run.campaign.state) == ("inconclusive", "live")
    (row,) = [line for line in run.criteria if line["name"].startswith("days")]
    assert "starts again at day 1" in row["reason"]
    assert months.to_begin() == [run.live.pk]


def test_a_day_that_is_not_over_breaks_nothing_yet():
    run = a_month()
    first = run.slots.filter(check_name="health").order_by("due_at").first()
    Slot.objects.filter(pk=first.pk).update(state="hole", verdict="inconclusive")
    assert months.close_broken(START + DAY) == 0


def broken(run):
    Slot.objects.filter(run=run, state="due").update(state="hole", verdict="inconclusive")
    return closed(run)


def test_the_next_month_begins_at_day_1_and_the_broken_one_stays(monkeypatch):
    run = broken(a_month())
    seen = []

    def opened(month, now):
        seen.append(month)
        return run

    monkeypatch.setattr(months, "open_month", opened)
    months.begin_again(run.live.pk, START + timedelta(minutes=6))
    assert (seen[0].previous, seen[0].plan) == (run.live, run.live.plan)
    assert Run.objects.get(pk=run.pk).verdict == "inconclusive"


def test_what_keeps_the_next_month_shut_for_too_long_stops_the_campaign(monkeypatch):
    run = broken(a_month())

    def refused(month, now):
        raise CannotGoLiveError("The account holds no money.")

    monkeypatch.setattr(months, "open_month", refused)
    months.begin_again(run.live.pk, run.closed_at + timedelta(seconds=5))
    run.campaign.refresh_from_db()
    assert run.campaign.state == "live"
    months.begin_again(run.live.pk, run.closed_at + timedelta(minutes=5))
    run.campaign.refresh_from_db()
    assert run.campaign.state == "stopped"
    assert "The account holds no money." in run.campaign.stopped_reason


def test_no_month_begins_on_signatures_that_do_not_stand_any_more():
    campaign = signed(a_ready_campaign())  # for other evidence than there is
    Campaign.objects.filter(pk=campaign.pk).update(state="approved")
    run = broken(a_month(plan=plan_of_two_people(campaign)))
    months.begin_again(run.live.pk, run.closed_at + timedelta(hours=7))
    run.campaign.refresh_from_db()
    assert "The approval does not stand any more." in run.campaign.stopped_reason


def plan_of_two_people(campaign):
    ends_on = (START + timedelta(days=90)).date().isoformat()
    terms = {"amount": "500", "instruments": "EUR_USD", "order_size": "1000", "orders_per_minute": "10"}
    terms |= {"daily_loss": "25", "total_loss": "100", "ends_on": ends_on}
    plan = propose_plan(campaign.pk, terms, by=User.objects.create_user("ada"), now=START)
    return decide_plan(plan.pk, "approved", by=User.objects.create_user("rita"), words="", now=START)


def test_the_last_month_that_may_be_tried_ends_gate_4_without_a_pass():
    run = a_month()
    plan = Run.objects.get(pk=run.pk).plan | {"most_months": 1}
    fresh = Run.objects.create(
        campaign=run.campaign, gate=4, plan=plan, planned_start=START, planned_end=run.planned_end
    )
    LiveRun.objects.create(
        run=fresh, plan=run.live.plan, month=2, previous=run.live, counted=True, environment="practice"
    )
    fresh.slots.bulk_create(
        [
            Slot(
                run=fresh,
                check_name="health",
                window_start=START,
                window_end=START + DAY,
                due_at=START,
                grace_until=START,
            )
        ]
    )
    fresh = broken(fresh)
    fresh.campaign.refresh_from_db()
    assert fresh.campaign.state == "stopped"


def test_the_row_of_a_month_is_never_changed_or_deleted():
    run = a_month()
    for change in (lambda: LiveRun.objects.update(counted=False), lambda: LiveRun.objects.all().delete()):
        with pytest.raises(DatabaseError, match="Cannot"), transaction.atomic():
            change()
    assert LiveRun.objects.get(run=run).counted


@pytest.fixture
def owner(client):
    roles.make_groups()
    person = User.objects.create_user("olga")
    person.groups.set(Group.objects.filter(name="owner"))
    client.force_login(person)
    return client


def test_the_months_page_shows_every_day_with_shape_and_word_and_links_to_its_slots(owner):
    run = filled(a_month(), until=START + DAY)
    html = owner.get(run.get_absolute_url()).content.decode()
    assert html.count('<a class="passed" href="/runs/') == 1
    assert html.count('<span class="w">') == 3
    assert "1 of 3 days in a row" in html
    assert "cannot be signed" in html
    assert "simulator posing as live" in html
    twin = owner.get(reverse("gates:run_json", args=[run.pk])).json()
    assert twin["days"][0]["verdict"] == "passed"
    assert twin["plan"]["amount"] == "500.00"


def test_the_page_says_stop_when_a_limit_is_broken_and_offers_the_button_to_whom_it_is_for(owner, client):
    run = filled(a_month(), {"limits": Verdict.FAILED}, until=START + DAY)
    run.findings.create(
        rule="daily loss limit broken", level="critical", sentence="26 USD were lost today.", found_at=START
    )
    html = owner.get(run.get_absolute_url()).content.decode()
    assert "<strong>26 USD were lost today.</strong>" in html
    assert "has no stop command" in html  # this target describes none
    assert owner.post(reverse("gates:stop_target", args=[run.pk]), {"reason": "x"}).status_code == 302


def test_who_may_not_stop_the_target_cannot(client):
    run = a_month()
    client.force_login(User.objects.create_user("aud"))
    assert client.post(reverse("gates:stop_target", args=[run.pk]), {"reason": "x"}).status_code == 403
    assert not run.events.filter(kind="intervention").exists()


def test_the_curves_of_a_month_are_drawn_from_its_looks(owner):
    run = filled(a_month(), until=START + DAY)
    drawn = owner.get(reverse("gates:curves", args=[run.pk])).json()
    assert set(drawn) == {"equity", "pnl", "drawdown", "exposure", "costs", "stops"}
    assert drawn["equity"]["data"][0]["y"] == ["500.0000", "500.0000"]


@pytest.mark.django_db(transaction=True)
def test_a_desk_is_not_parked_while_somebody_sets_the_stage_for_the_next_month(monkeypatch):
    run = closed(filled(a_month(counted=False)), now=timezone.now())
    Target.objects.update(spec=REHEARSAL_SPEC)
    parked = []
    monkeypatch.setattr(months.stage, "switch", lambda *, running: parked.append(running))
    held, done = threading.Event(), threading.Event()

    def setting_the_stage():
        with transaction.atomic():
            Target.objects.select_for_update().get(pk=run.campaign.target_id)
            held.set()
            done.wait(20)
        connection.close()

    thread = threading.Thread(target=setting_the_stage)
    thread.start()
    held.wait(20)
    months.leave_stages(timezone.now())
    assert parked == []
    done.set()
    thread.join(20)
    months.leave_stages(timezone.now())
    assert parked == [False]


def test_the_campaigns_page_shows_how_far_gate_4_is(owner):
    run = filled(a_month(), until=START + DAY)
    html = owner.get(reverse("gates:campaign", args=[run.campaign_id])).content.decode()
    assert "1 of 3 days in a row" in html
    assert 'class="days small"' in html
