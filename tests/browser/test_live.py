"""The pages of gate 4 in a browser: readable in both themes and on a phone, and the stop button in a person's hands."""

import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from gates import engine
from gates.alerts.raising import raise_alert
from gates.checks.outcome import Outcome
from gates.live_capital.plan_commands import propose_plan
from gates.models import Run, Target
from tests.browser.conftest import Portal, shot
from tests.gates.cast import a_ready_campaign
from tests.gates.live_capital.staged import a_month

SIZES = {"wide": (1280, 900), "phone": (390, 844)}
DAY = timedelta(seconds=20)
PLAN = {
    "amount": "500",
    "instruments": "EUR_USD, GBP_USD",
    "order_size": "1000",
    "orders_per_minute": "10",
    "daily_loss": "25",
    "total_loss": "100",
    "reason": "As small as the broker lets us.",
}


def measured_on(day: int, part: int) -> dict[str, dict[str, Any]]:
    """What the checks of one day measured: an equity curve that rises, falls and rises, to the last digit."""
    step = Decimal(day * 4 + part)
    nav = Decimal("500") + step * Decimal("0.1137") - (Decimal("4.75") if 6 <= day <= 8 else 0)
    money = {"nav": f"{nav:.4f}", "balance": f"{nav - Decimal('0.42'):.4f}", "unrealised": "0.4200"}
    exposure = {"margin_used": f"{18 + day % 5}.4000", "position_value": f"{920 + 31 * (day % 7)}.0000"}
    loss = Decimal("500") - nav
    look = {"day_loss": f"{loss / 3:.4f}", "total_loss": f"{loss:.4f}", "orders": 3, "largest_order": "431"}
    stops = {"touches": 2, "executed": 2, "live": 2, "latencies_ms": [8.5 + day, 14.25], "slippage_worst_pips": "0.1"}
    figures = {
        "net": f"{step * Decimal('0.1137'):.4f}",
        "realised": "4.2000",
        "financing": "-0.0312",
        "commission": "0",
        "spread": f"{step * Decimal('0.0412'):.4f}",
        "costs": f"{step * Decimal('0.05'):.4f}",
        "trades": 4 * day,
        "win_rate": "0.5417",
        "profit_factor": "1.2310",
        "drawdown": "4.7500",
        "drawdown_part": "0.0094",
        "executed": 2 * day,
        "touches": 2 * day,
        "latency_median_ms": 14.25,
        "latency_worst_ms": 8.5 + day,
    }
    return {
        "limits": money | exposure | look | {"most_a_minute": 6},
        "stops": stops,
        "performance": figures | money | exposure | {"slippage_worst_pips": "0.1"},
    }


def a_month_of(days: int, *, failed: bool = False) -> Run:
    """A rehearsal of gate 4 in which so many days are over; the last of them broke a limit, if it `failed`."""
    start = datetime.now(UTC).replace(microsecond=0) - days * DAY - timedelta(seconds=7)
    run = a_month(profile="rehearsal", start=start)
    for slot in run.slots.filter(window_end__lte=start + days * DAY).order_by("due_at"):
        at = slot.window_end - start
        day = max(1, -(-at // DAY))
        broke = failed and day == days and slot.check_name == "limits"
        mine = engine.claim(slot.pk, worker="test", now=slot.due_at)
        measured = measured_on(day, (at % DAY).seconds // 5).get(slot.check_name, {})
        if broke:
            measured |= {"day_loss": "26.0310", "total_loss": "31.2204"}
        outcome = Outcome("failed" if broke else "passed", "", measured)  # type: ignore[arg-type]
        assert mine is not None
        engine.record(mine, outcome, started_at=slot.due_at, now=slot.due_at)
    if failed:
        sentence = "26.0310 USD were lost today, open positions included: the plan allows 25 USD."
        run.findings.create(rule="daily loss limit broken", level="critical", sentence=sentence, found_at=slot.due_at)
        now = slot.due_at
        alert = {"rule": "daily loss limit broken", "level": "critical", "sentence": sentence}
        raise_alert(run, **alert, event_at=now, now=now)
    return run


@pytest.fixture
def person(page: Page) -> User:
    """The signed-in person, who may do everything."""
    User.objects.filter(username="engineer").update(is_superuser=True, is_staff=True)
    return User.objects.get(username="engineer")


@pytest.mark.parametrize(
    ("theme", "size"), [("light", "wide"), ("dark", "wide"), ("light", "phone"), ("dark", "phone")]
)
def test_each_page_of_gate_4_draws_without_complaint_and_fits(
    page: Page, portal: Portal, person: User, theme: str, size: str
) -> None:
    stop = [sys.executable, "-c", "pass"]
    Target.objects.create(name="fx-desk", spec={"process": {"stop": stop}}, created_at=datetime.now(UTC))
    going = a_month_of(12)
    waiting = a_ready_campaign(profile="production", name="other-desk")
    ends = (datetime.now(UTC) + timedelta(days=60)).date().isoformat()
    plan = propose_plan(waiting.pk, PLAN | {"ends_on": ends}, by=User.objects.create_user("ada"), now=datetime.now(UTC))
    addresses = {
        "live-months": "/live/",
        "live-month": going.get_absolute_url(),
        "live-propose": f"/campaigns/{going.campaign_id}/capital/",
        "live-plan": plan.get_absolute_url(),
    }
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    for name, address in addresses.items():
        page.goto(portal.url + address)
        if name == "live-month":
            expect(page.locator("#plot-equity .main-svg").first).to_be_visible()
        shot(page, f"{name}-{theme}-{size}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        wrong = Axe().run(page).response["violations"]
        assert not wrong, (name, [(one["id"], one["nodes"][0]["target"]) for one in wrong])
    assert not page.complaints  # type: ignore[attr-defined]


def test_a_broken_limit_says_stop_and_a_person_runs_the_targets_own_command(
    page: Page, portal: Portal, person: User
) -> None:
    stop = [sys.executable, "-c", "pass"]
    Target.objects.create(name="fx-desk", spec={"process": {"stop": stop}}, created_at=datetime.now(UTC))
    run = a_month_of(9, failed=True)
    page.goto(portal.url + run.get_absolute_url())
    expect(page.get_by_role("heading", name="Stop", exact=True)).to_be_visible()
    expect(page.locator(".halt")).to_contain_text("26.0310 USD were lost today")
    expect(page.locator(".limit.failed").first).to_contain_text("26.03 USD of 25.00 USD")
    shot(page, "live-stop")
    page.locator(".halt").get_by_label("Why").fill("the daily loss is broken")
    page.locator(".halt").get_by_role("button", name="Run the target's stop command").click()
    expect(page.get_by_role("status")).to_contain_text("The target was told to stop")
    assert run.events.get(kind="intervention").sentence.startswith("engineer ran the target's stop command")
    shot(page, "live-stopped")


def test_a_day_opens_the_list_of_its_slots(page: Page, portal: Portal, person: User) -> None:
    run = a_month_of(3)
    page.goto(portal.url + run.get_absolute_url())
    page.locator("#days a").nth(1).click()
    second = {"window_start__gte": run.planned_start + DAY, "window_start__lt": run.planned_start + 2 * DAY}
    expect(page.locator("main a[href^='/slots/']")).to_have_count(run.slots.filter(**second).count())
