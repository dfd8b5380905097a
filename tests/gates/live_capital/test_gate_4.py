"""Gate 4 against the simulator posing as a live account: it passes to the end, and each wrong hand, withheld stop and
broken limit fails it; the token is nowhere afterwards."""

import logging
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.apps import apps
from django.utils import timezone

from gates.commands import close_run
from gates.evidence.tree import campaign_tree
from gates.evidence.verifying import Known, verify
from gates.live_capital import commands as live_commands
from gates.live_capital import months
from gates.live_capital.commands import CannotGoLiveError, open_gate_4, rehearsal_plan
from gates.live_capital.turns import start_live
from gates.models import Campaign, CapitalPlan, Slot
from tests.gates.cast import a_ready_campaign
from tests.gates.live_capital.stage import SHORT, TOKEN, Stage, staged, stepped

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stage(postgres_server, tmp_path, monkeypatch, settings):
    folders = {"wartest_home": tmp_path, "reports_dir": tmp_path / "reports"}
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update=folders)
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    monkeypatch.setattr(live_commands, "live_plan_for", lambda _: SHORT)
    with staged(postgres_server, tmp_path, monkeypatch) as ready:
        yield ready


def opened(stage: Stage, **limits):
    """Open gate 4 in a campaign of its own, with the rehearsal's plan but for these limits."""
    if not limits:
        return start_live(stage.target, "smoke", started_by=None, now=timezone.now())
    build = start_build(stage)
    campaign = Campaign.objects.create(target=stage.target, profile="smoke", build=build, started_at=timezone.now())
    plan = rehearsal_plan(campaign, timezone.now())
    values = {field.name: getattr(plan, field.name) for field in plan._meta.concrete_fields if field.name != "id"}
    other = Campaign.objects.create(target=stage.target, profile="smoke", build=build, started_at=timezone.now())
    plan = CapitalPlan.objects.create(**values | {"campaign": other} | limits)
    return open_gate_4(plan, started_by=None, why_not="A test of its own.", now=timezone.now())


def start_build(stage: Stage) -> str:
    from gates.checks import health  # noqa: PLC0415
    from gates.live_capital.reaching import live_access  # noqa: PLC0415

    return str(health.observe(live_access(stage.target.spec))["build"])


def once(act, *, after_s=6.0):
    """Return what does something once, so many seconds into the month."""
    done = []

    def when(run):
        if not done and timezone.now() > run.planned_start + timedelta(seconds=after_s):
            done.append(True)
            act()

    return when


def verdicts(report):
    return {line["name"]: line["verdict"] for line in report.content["criteria"]}


def rules(report):
    return Counter(found["check"] for found in report.content["findings"])


def test_a_month_that_nobody_disturbs_passes_and_the_token_is_nowhere(stage, caplog, tmp_path, admin_client):
    caplog.set_level(logging.DEBUG)
    run = opened(stage)
    report = stepped(run)
    assert verdicts(report) == dict.fromkeys(verdicts(report), "passed"), report.content["criteria"]
    capital = report.content["capital"]
    assert [day["verdict"] for day in capital["days"]] == ["passed", "passed"]
    assert capital["environment"] == "simulator posing as live"
    assert int(capital["performance"]["trades"]) > 0
    assert Decimal(capital["opened"]["nav"]) == 500
    found = [model.__name__ for model in apps.get_models() for row in model.objects.values() if TOKEN in str(row)]
    assert found == []
    assert TOKEN not in caplog.text
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [str(path) for path in files if TOKEN.encode() in path.read_bytes()] == []
    pages = [f"/runs/{run.pk}/", f"/runs/{run.pk}.json", f"/runs/{run.pk}/report/", "/live/", "/about/"]
    assert [page for page in pages if TOKEN in admin_client.get(page).content.decode()] == []
    every_full_audit_is_evidence(report, tmp_path)


def every_full_audit_is_evidence(report, home):
    """The books of each week are in the zip, and a digit changed in any of them is found and named."""
    folders = [f"snapshots/run-{report.run_id}-day-{day:02}" for day in (1, 2)]
    assert [f"snapshots/{each['folder']}" for each in report.content["snapshots"]] == folders
    tree = campaign_tree(report.campaign, timezone.now())
    assert {f"{folder}/manifest.json" for folder in folders} <= tree.names
    found = verify(tree, Known())
    assert (found.wrong, found.counts["snapshots"]) == ([], 2)
    for folder in folders:
        books = home / folder / "executions.parquet"
        whole = books.read_bytes()
        books.write_bytes(whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:])
        changed = [line for line in verify(tree, Known()).wrong if f"{folder}/executions.parquet has changed" in line]
        books.write_bytes(whole)
        assert changed


def test_an_order_by_hand_fails_the_month(stage):
    report = stepped(opened(stage), when=once(lambda: stage.order("37")))
    assert report.verdict == "failed"
    assert rules(report)["order that the target did not send"]
    assert verdicts(report)["nobody's hands"] == "failed"
    assert any("37 EUR_USD" in each["sentence"] for each in report.content["interventions"])


def test_a_transfer_in_mid_month_fails_it(stage):
    body = {"account_id": stage.description["live_account"], "amount": "-20"}
    report = stepped(opened(stage), when=once(lambda: stage.control("POST", "/transfers", body)))
    assert report.verdict == "failed"
    assert rules(report)["money moved by hand"] == 1
    assert not rules(report)["daily loss limit broken"]  # what was taken out is not lost


def test_a_stop_that_the_broker_withholds_fails_the_month(stage):
    fault = {"kind": "withhold_stops"}
    report = stepped(opened(stage), when=once(lambda: stage.control("POST", "/faults", fault), after_s=1))
    assert report.verdict == "failed"
    assert verdicts(report)["stops executed"] == "failed", (rules(report), report.content["criteria"])


@pytest.mark.parametrize(
    ("limit", "rule"),
    [
        ({"order_size": Decimal(1)}, "order larger than the plan allows"),
        ({"orders_per_minute": 1}, "more orders a minute than the plan allows"),
        ({"instruments": ["EUR_JPY"]}, "instrument beyond the plan"),
    ],
)
def test_a_limit_of_the_plan_that_is_broken_is_a_critical_alert_and_fails_the_month(stage, limit, rule):
    run = opened(stage, **limit)
    report = stepped(run)
    assert report.verdict == "failed"
    assert rules(report)[rule]
    assert (rule, "critical") in {(alert["rule"], alert["level"]) for alert in report.content["alerts"]}
    assert verdicts(report)["limits of the plan kept"] == "failed"


def test_an_account_with_more_than_the_plan_allows_keeps_the_gate_shut(stage, monkeypatch):
    monkeypatch.setattr(live_commands.stage, "set_stage", lambda amount: None)
    body = {"account_id": stage.description["live_account"], "amount": "0.01"}
    stage.control("POST", "/transfers", body)
    with pytest.raises(CannotGoLiveError, match=r"holds 500\.01\d* USD: the plan allows 500"):
        opened(stage)
    assert not Campaign.objects.exists()


def broken(run):
    """Close a month of which nobody looked at anything any more."""
    Slot.objects.filter(run=run, state="due").update(state="hole", verdict="inconclusive")
    return close_run(run.pk, timezone.now())


def test_the_next_month_counts_losses_on_and_stays_shut_once_money_was_moved_between(stage, monkeypatch):
    monkeypatch.setattr(live_commands, "live_plan_for", lambda _: replace(SHORT, most_months=9))
    campaign = a_ready_campaign(profile="smoke", name=stage.target.name, build=start_build(stage))
    first = broken(opened(stage))
    second = months.begin_again(first.live.pk, timezone.now())
    assert (second.live.month, second.live.previous) == (2, first.live)
    assert second.baseline["capital"]["plan_nav"] == first.baseline["capital"]["nav"]
    broken(second)
    for amount in ("5000", "-5000"):  # back where it was, and all the same nobody knows what was lost meanwhile
        stage.control("POST", "/transfers", {"account_id": stage.description["live_account"], "amount": amount})
    assert months.begin_again(second.live.pk, timezone.now()) is None
    campaign.refresh_from_db()
    assert campaign.state == "live"
    months.begin_again(second.live.pk, timezone.now() + timedelta(minutes=2))
    campaign.refresh_from_db()
    assert campaign.stopped_reason == (
        "The next month could not begin: Money was moved at the broker since the plan began (+5000, -5000 USD): "
        "propose another plan."
    )
