"""The pages: who may see them, what they show, and when a live part has nothing new."""

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from plotly.offline import get_plotlyjs_version

from gates import engine, pulses
from gates.alerts.commands import acknowledge
from gates.models import Alert, Campaign, Finding, Report, Run, RunEvent, Slot, SlotResult, Target
from gates.pages.curves import Curve, Sample, Trace, figures, thinned
from gates.pages.grid import COLUMNS, SlotGroup, slot_grid
from gates.pages.rows import SlotCounts, standing
from gates.plans import plan_for
from gates.templatetags.gates_pages import value

START = datetime(2026, 11, 22, 11, 0, tzinfo=UTC)
PAGES = ("dashboard", "runs", "about")


def minutes(n: float) -> timedelta:
    return timedelta(minutes=n)


@pytest.fixture(autouse=True)
def plain_static(settings: Any) -> None:
    """Static files by their own names and the cache in memory: no collectstatic and no Valkey for these tests."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


@pytest.fixture
def engineer(db: None) -> User:
    return User.objects.create_user("engineer", password="a long enough password")


@pytest.fixture
def browser(client: Client, engineer: User) -> Client:
    client.force_login(engineer)
    return client


@pytest.fixture
def run(engineer: User) -> Run:
    """A rehearsal in its second half: health each minute, one failed, one hole, one not yet."""
    target = Target.objects.create(name="desk", spec={}, created_at=START)
    campaign = Campaign.objects.create(
        target=target, profile="rehearsal", build="sha256:abc", started_by=engineer, started_at=START
    )
    run = Run.objects.create(
        campaign=campaign,
        gate=1,
        plan=asdict(plan_for("rehearsal")),
        planned_start=START,
        planned_end=START + minutes(5),
        criteria=[{"name": "stops", "required": "100 %", "measured": "12 of 12", "verdict": "passed", "reason": "all"}],
        cursor=7,
    )
    for n, verdict in enumerate(("passed", "failed", "inconclusive", "passed", None)):
        state = "due" if verdict is None else "hole" if verdict == "inconclusive" else "done"
        slot = Slot.objects.create(
            run=run,
            check_name="health",
            window_start=START + minutes(n),
            window_end=START + minutes(n + 1),
            due_at=START + minutes(n + 1),
            grace_until=START + minutes(n + 2),
            state=state,
            verdict=verdict,
        )
        if state == "done":
            SlotResult.objects.create(
                slot=slot,
                attempt=1,
                verdict=verdict,
                reason="The target does not answer." if verdict == "failed" else "",
                measured={"memory_mib": 40 + n, "cpu_s": n * 6.0, "database_ms": 1.5},
                started_at=slot.due_at,
                finished_at=slot.due_at + timedelta(milliseconds=31),
            )
    Finding.objects.create(
        run=run,
        slot=run.slots.get(verdict="failed"),
        rule="balance chain",
        level="critical",
        sentence="A balance event does not start where the one before ended.",
        expected="100.10",
        measured="100.09",
        difference="-0.01",
        where={"event_id": "42"},
        found_at=START + minutes(2),
    )
    RunEvent.objects.create(run=run, at=START, kind="started", sentence="Cut 5 slots.")
    Alert.objects.create(
        target=target,
        run=run,
        rule="system crash",
        level="critical",
        sentence="The target died.",
        event_at=START,
        raised_at=START,
        last_at=START,
        deadline_at=START,
    )
    return run


def test_every_page_but_sign_in_and_healthz_asks_who_you_are(client: Client, run: Run) -> None:
    addresses = [reverse(f"gates:{name}") for name in PAGES]
    addresses += [reverse(f"gates:{name}_json") for name in PAGES]
    addresses += [reverse(f"gates:{name}", args=[run.pk]) for name in ("run", "run_json", "live", "curves", "slots")]
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code == 302, address
        assert answer["Location"].startswith(reverse("account_login")), address


def test_the_sign_in_page_lets_a_known_engineer_in(client: Client, engineer: User) -> None:
    assert b"Sign in" in client.get(reverse("account_login")).content
    answer = client.post(
        reverse("account_login"), {"login": "engineer", "password": "a long enough password"}, follow=True
    )
    assert b"Right now" in answer.content


@pytest.mark.parametrize("name", PAGES)
def test_an_empty_portal_says_what_to_do(browser: Client, name: str) -> None:
    answer = browser.get(reverse(f"gates:{name}"))
    assert answer.status_code == 200
    assert b"manage.py" in answer.content


def test_pages_carry_a_strict_policy_and_no_inline_style_or_script(browser: Client, run: Run) -> None:
    answer = browser.get(run.get_absolute_url())
    policy = answer["Content-Security-Policy"]
    assert "unsafe" not in policy
    text = answer.content.decode()
    assert " style=" not in text
    assert " onclick=" not in text
    assert "https://" not in text


def test_the_dashboard_shows_the_run_the_rail_and_the_alert(browser: Client, run: Run) -> None:
    text = browser.get(reverse("gates:dashboard")).content.decode()
    assert "Gate 1, 72-hour run" in text
    assert "4 of 5 due slots judged, 5 planned" in text
    assert "Opens when gate 1, 72-hour run, has passed." in text
    assert "The target died." in text
    assert "overdue by" in text


def test_the_run_page_shows_criteria_cells_findings_and_log(browser: Client, run: Run) -> None:
    text = browser.get(run.get_absolute_url()).content.decode()
    assert "0 of 0 executed" in text
    assert "as they stand" in text
    assert text.count('id="cell-') == 5
    for slot in run.slots.all():
        assert f'href="{slot.get_absolute_url()}"' in text
    assert "-0.01" in text
    assert "Cut 5 slots." in text


def test_criteria_of_a_run_that_goes_on_wait_until_something_is_inconclusive() -> None:
    criteria = [{"verdict": "inconclusive", "reason": "83 missing"}, {"verdict": "failed", "reason": "one critical"}]
    clean = SlotCounts(planned=9, due=3, passed=2, failed=1, inconclusive=0, holes=0)
    assert [line["verdict"] for line in standing(criteria, clean)] == ["running", "failed"]
    assert standing(criteria, replace(clean, inconclusive=1, holes=1)) == criteria


def test_measured_rows_become_a_table_and_are_escaped() -> None:
    table = value([{"name": "balance_row", "verdict": "passed", "rows": 16}, {"name": "<b>", "verdict": None}])
    assert "<td>balance row</td>" in table
    assert "● passed" not in table
    assert 'class="status passed"' in table
    assert "&lt;b&gt;" in table
    assert value([0.5, 1.5]) == "0.5, 1.5"
    assert value([]) == value("") == "–"


def test_many_slots_share_a_cell_that_leads_to_their_list(browser: Client, run: Run) -> None:
    cadence = timedelta(seconds=1)
    Slot.objects.bulk_create(
        Slot(
            run=run,
            check_name="<stops>",
            window_start=START + n * cadence,
            window_end=START + (n + 1) * cadence,
            due_at=START + (n + 1) * cadence,
            grace_until=START + (n + 2) * cadence,
        )
        for n in range(300)
    )
    text = browser.get(run.get_absolute_url()).content.decode()
    assert text.count('id="cell-1-') == COLUMNS
    assert f"slots/?check=%3Cstops%3E&amp;from={START:%Y-%m-%d}" in text
    assert "<stops>" not in text


def test_a_live_part_is_silent_until_the_cursor_moves(browser: Client, run: Run) -> None:
    address = reverse("gates:live", args=[run.pk])
    assert browser.get(f"{address}?since=7").status_code == 204
    Run.objects.filter(pk=run.pk).update(cursor=8)
    answer = browser.get(f"{address}?since=7")
    assert answer.status_code == 200
    assert b"since=8" in answer.content
    assert b"<html" not in answer.content


def test_the_last_render_of_a_closed_run_asks_no_more(browser: Client, run: Run) -> None:
    assert b"hx-trigger" in browser.get(run.get_absolute_url()).content
    Run.objects.filter(pk=run.pk).update(state="closed", verdict="failed", closed_at=START + minutes(5), cursor=8)
    answer = browser.get(reverse("gates:live", args=[run.pk]) + "?since=7")
    assert b"hx-trigger" not in answer.content
    assert b"12 of 12" in answer.content
    assert b"failed" in answer.content


def test_the_dashboard_is_silent_until_something_moves(browser: Client, run: Run) -> None:
    page = browser.get(reverse("gates:dashboard"))
    address = f"{reverse('gates:dashboard_live')}?since={page.context['cursor']}"
    assert browser.get(address).status_code == 204
    acknowledge(Alert.objects.get().pk, person=User.objects.get(username="engineer"), words="I look.", now=START)
    assert browser.get(address).status_code == 200


def test_a_stopped_campaign_keeps_the_later_gates_shut_and_says_why(browser: Client, run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(state="closed", verdict="inconclusive", closed_at=START + minutes(5))
    text = browser.get(reverse("gates:dashboard")).content.decode()
    assert text.count("Stays shut: gate 1 inconclusive.") == 3


def test_a_slot_page_and_its_twin_say_what_was_measured(browser: Client, run: Run) -> None:
    slot = run.slots.get(verdict="failed")
    text = browser.get(slot.get_absolute_url()).content.decode()
    assert "The target does not answer." in text
    assert "memory mib" in text
    twin = browser.get(reverse("gates:slot_json", args=[slot.pk])).json()
    assert twin["status"] == "failed"
    assert twin["result"]["measured"]["database_ms"] == 1.5
    assert twin["findings"][0]["difference"] == "-0.01"


def test_a_hole_says_that_nobody_did_it(browser: Client, run: Run) -> None:
    hole = run.slots.get(state="hole")
    assert b"no evidence" in browser.get(hole.get_absolute_url()).content


def test_a_finding_has_a_page_and_a_twin(browser: Client, run: Run) -> None:
    finding = run.findings.get()
    text = browser.get(finding.get_absolute_url()).content.decode()
    assert "100.10" in text
    assert "event id" in text
    assert browser.get(reverse("gates:finding_json", args=[finding.pk])).json()["expected"] == "100.10"


def test_slots_can_be_narrowed_and_nonsense_narrows_nothing(browser: Client, run: Run) -> None:
    address = reverse("gates:slots_json", args=[run.pk])

    def found(**query: str) -> int:
        return len(browser.get(address, query).json()["slots"])

    assert found() == 5
    assert found(status="failed") == 1
    assert found(check="health", **{"from": (START + minutes(3)).isoformat()}) == 2
    assert found(check="no such check") == 0
    assert found(**{"from": "yesterday", "status": "nice"}) == 5
    assert found(**{"from": "2026-99-99T00:00:00Z"}) == 5
    assert browser.get(reverse("gates:slots", args=[run.pk])).status_code == 200


def test_a_report_is_shown_as_sealed(browser: Client, run: Run) -> None:
    content = {
        "schema": "wartest.report/1",
        "verdict": "failed",
        "profile": "rehearsal",
        "target": {"name": "desk", "build": "sha256:abc", "environment": "practice"},
        "planned": {"start": "2026-11-22T11:00:00Z", "end": "2026-11-22T11:05:00Z"},
        "measured": {"start": "2026-11-22T11:00:00Z", "end": "2026-11-22T11:05:00Z", "duration_s": 300},
        "criteria": run.criteria,
        "slots": {"planned": 5, "passed": 2, "failed": 1, "inconclusive": 2},
        "findings": [{"check": "balance chain", "level": "critical", "count": 1, "difference": "-0.01"}],
        "alerts": [],
        "interventions": [],
    }
    report = Report.objects.create(
        run=run,
        campaign=run.campaign,
        kind="72-hour-test",
        verdict="failed",
        content=content,
        sha256="f" * 64,
        file_name="72-hour-test-20261122T110500Z.json",
        created_at=START + minutes(5),
    )
    text = browser.get(report.get_absolute_url()).content.decode()
    assert "f" * 64 in text
    assert "cannot be signed off" in text
    assert browser.get(reverse("gates:report_json", args=[run.pk])).json() == content


def test_a_run_without_a_report_and_a_run_that_never_was_are_not_found(browser: Client, run: Run) -> None:
    assert browser.get(reverse("gates:report", args=[run.pk])).status_code == 404
    assert browser.get(reverse("gates:run", args=[run.pk + 1])).status_code == 404


def test_curves_hold_points_of_what_was_measured(browser: Client, run: Run) -> None:
    drawn = browser.get(reverse("gates:curves", args=[run.pk])).json()
    assert drawn["memory"]["data"][0]["y"] == [40, 41, 43]
    assert drawn["cpu"]["data"][0]["y"] == [10.0, 10.0]
    assert drawn["balance"]["data"][0]["y"] == []


def test_about_shows_no_secret(browser: Client, settings: Any) -> None:
    text = browser.get(reverse("gates:about_json")).content.decode()
    assert "*****" in text
    assert settings.SECRET_KEY not in text
    assert settings.ENVIRONMENT.database_url.get_secret_value() not in text


def test_healthz_answers_strangers_and_names_what_has_stopped(
    client: Client, db: None, settings: Any, valkey_server: Any
) -> None:
    secret = type(settings.ENVIRONMENT.redis_url)
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"redis_url": secret(valkey_server.url())})
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["last_tick_age_s"] is None
    assert set(answer.json()["stopped"]) == {"beat", "streams", "delivery"}
    for kind in pulses.BEATING:
        engine.beat(kind, datetime.now(UTC))
    well = client.get("/healthz")
    assert (well.status_code, well.json()["status"], well.json()["stopped"]) == (200, "ok", {})
    assert set(well.json()["ages_s"]) == {part.kind for part in pulses.TABLE}
    engine.beat("tick", datetime.now(UTC) - minutes(2))
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert list(answer.json()["stopped"]) == ["tick"]
    assert valkey_server.password not in answer.content.decode()


def group(n: int, **counts: int) -> SlotGroup:
    return SlotGroup("health", START + minutes(n), START + minutes(n + 1), counts)


def test_a_cell_never_looks_better_than_its_worst_slot() -> None:
    assert group(0, passed=59, failed=1).status == "failed"
    assert group(0, passed=59, inconclusive=1).status == "inconclusive"
    assert group(0, passed=30, waiting=30).status == "running"
    assert group(0, waiting=60).status == "waiting"
    assert group(0, passed=60).status == "passed"
    assert group(0).status == "waiting"
    assert group(0, passed=59, failed=1).words == "1 failed, 59 passed"


def test_cells_lie_in_order_of_time_inside_the_picture() -> None:
    grid = slot_grid([group(2, passed=1), group(0, passed=1)], start=START, end=START + minutes(3))
    (row,) = grid.rows
    assert [cell.group.start for cell in row.cells] == [START, START + minutes(2)]
    assert row.cells[0].x < row.cells[1].x
    assert row.cells[1].x + row.cells[1].width <= grid.width
    assert grid.ticks[0] == (row.cells[0].x, "0")


def test_thinning_keeps_the_spike() -> None:
    points = [(START + minutes(n), 1.0) for n in range(10_000)]
    points[4321] = (points[4321][0], 99.0)
    kept = thinned(points, 600)
    assert len(kept) <= 600
    assert (points[4321][0], 99.0) in kept
    assert kept == sorted(kept)


def test_money_is_drawn_from_its_exact_text() -> None:
    curve = Curve("balance", "Balance", "", (Trace("broker_balance", "broker", "--running"),))
    samples = [Sample(START, {"broker_balance": "100000.0001"}), Sample(START, {})]
    drawn = figures([curve], samples, span=(START, START + minutes(1)))
    assert drawn["balance"]["data"][0]["y"] == ["100000.0001"]


def test_a_list_of_values_gives_a_point_each() -> None:
    curve = Curve("stops", "Stops", "ms", (Trace("latencies_ms", "execution", "--passed", points=True),))
    drawn = figures([curve], [Sample(START, {"latencies_ms": [12, 31]})], span=(START, START + minutes(1)))
    assert drawn["stops"]["data"][0]["y"] == [12, 31]


def test_the_vendored_plotly_is_the_one_the_python_package_expects() -> None:
    vendor = Path(__file__).parents[2] / "wartest_site/static/wartest/vendor"
    opening = (vendor / "plotly-cartesian.min.js").open(encoding="utf-8").read(200)
    assert f"v{get_plotlyjs_version()}" in opening
    assert "MIT" in (vendor / "plotly.LICENSE.txt").read_text()
    assert "MIT" in (vendor / "pico.LICENSE.md").read_text()
