"""The pages of gate 2 in a browser: readable in both themes and on a phone, live, and driven by the keyboard."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from gates.models import CrashPoint, Heal, Run, Target
from tests.browser.conftest import Portal, shot
from tests.gates.chaos.pages.staged import close, staged_run, strike

SIZES = {"wide": (1280, 900), "phone": (390, 844)}


@pytest.fixture
def run(portal: Portal) -> Run:
    """A run of gate 2 that is going on, and a signed-in person who may do everything."""
    User.objects.filter(username="engineer").update(is_superuser=True)
    run = staged_run(User.objects.get(username="engineer"), start=portal.going.planned_start)
    slow = run.scenarios.get(name="slow_network_responses")
    for ms, words in ((1_000, ""), (4_000, "it hung up")):
        told = {"message": "broker: POST orders answered 201", "proof": {"delay_ms": ms}, "gave_up": words}
        strike(slow, 7, "delay", parameters={"delay_ms": ms}, receipt=told)
    failed = run.scenarios.get(number=1).crash_points.get(verdict="failed")
    staged_run(start=portal.going.planned_start, only_point=failed.point)
    return run


def addresses(run: Run) -> dict[str, str]:
    over, going = run.scenarios.order_by("number")[:2]
    points = {
        "failed": over.crash_points.get(verdict="failed"),
        "identical": over.crash_points.get(strike="kill after"),
        "stands": over.crash_points.filter(same_as__gt=0).first(),
        "unproven": over.crash_points.get(verdict="inconclusive"),
        "waiting": going.crash_points.get(number=4),
    }
    return {
        "chaos": "/chaos/",
        "chaos-run": run.get_absolute_url(),
        "scenario-over": over.get_absolute_url(),
        "scenario-going": going.get_absolute_url(),
        "scenario-table": f"{over.get_absolute_url()}?as=table",
        "scenario-slow": run.scenarios.get(number=9).get_absolute_url(),
        "scenario-waiting": run.scenarios.get(number=10).get_absolute_url(),
        "point-late": run.scenarios.get(number=9).crash_points.get(number=2).get_absolute_url(),
        **{f"point-{name}": point.get_absolute_url() for name, point in points.items()},
    }


@pytest.mark.parametrize(
    ("theme", "size"), [("light", "wide"), ("dark", "wide"), ("light", "phone"), ("dark", "phone")]
)
def test_each_page_of_gate_2_draws_without_complaint_and_fits(
    page: Page, portal: Portal, run: Run, theme: str, size: str
) -> None:
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    for name, address in addresses(run).items():
        page.goto(portal.url + address)
        shot(page, f"{name}-{size}-{theme}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than the screen"
        found = [
            (breach["id"], [node["target"] for node in breach["nodes"]][:3])
            for breach in Axe().run(page).response["violations"]
        ]
        assert found == [], name
    assert page.complaints == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(("theme", "size"), [("light", "wide"), ("dark", "phone")])
def test_a_person_says_that_what_a_machine_that_is_gone_left_was_undone(
    page: Page, portal: Portal, run: Run, theme: str, size: str
) -> None:
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))  # type: ignore[arg-type]
    point = run.scenarios.get(number=1).crash_points.get(verdict="inconclusive")
    at, what = run.planned_start, {"engine": "desk-two:17:1.00:0123456789ab"}
    Heal.objects.create(crash_point=point, attempt=2, fault="kill", what=what, written_at=at, due_at=at)
    page.goto(portal.url + point.get_absolute_url())
    page.get_by_text("The machine it was on is gone for ever").click()
    page.get_by_label("How you know that nothing of it runs on").fill("desk-two was replaced; its host shows nothing.")
    shot(page, f"point-left-{size}-{theme}")
    assert Axe().run(page).response["violations"] == []
    page.get_by_role("button", name="It is undone by hand").click()
    expect(page.get_by_text("◇ undone by hand")).to_be_visible()
    expect(page.get_by_text("desk-two was replaced; its host shows nothing.")).to_be_visible()
    shot(page, f"point-undone-{size}-{theme}")
    assert page.complaints == []  # type: ignore[attr-defined]


def test_arrows_move_from_strike_to_strike_and_enter_opens_one(page: Page, portal: Portal, run: Run) -> None:
    over = run.scenarios.get(number=1)
    page.goto(portal.url + over.get_absolute_url())
    first, *_ = over.crash_points.order_by("number")
    page.locator(f"#strike-{first.pk}").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    after = over.crash_points.get(strike="kill after")
    assert page.evaluate("document.activeElement.id") == f"strike-{after.pk}"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowUp")
    charts = page.locator("svg:has(a[tabindex])").all()  # of the operation, and of its recovery
    assert [chart.locator('a[tabindex="0"]').count() for chart in charts] == [1, 1]
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.wait_for_url("**/crash-points/*/")


def test_a_strike_gets_its_colour_by_itself_and_the_focus_stays_on_it(page: Page, portal: Portal, run: Run) -> None:
    going = run.scenarios.get(number=2)
    page.goto(portal.url + going.get_absolute_url())
    struck = going.crash_points.get(phase="struck")
    mark = page.locator(f"#strike-{struck.pk}")
    expect(mark).to_have_class("running")
    mark.focus()
    receipt = {"message": struck.label, "proof": {"signal": "SIGKILL"}}
    CrashPoint.objects.filter(pk=struck.pk).update(phase="done", verdict="passed", receipt=receipt, recovery_ms=9.0)
    run.refresh_from_db()
    Run.objects.filter(pk=run.pk).update(cursor=run.cursor + 1)
    expect(mark).to_have_class("passed")
    assert page.evaluate("document.activeElement.id") == f"strike-{struck.pk}"
    close(going, "passed")
    expect(page.locator("#live[hx-get]")).to_have_count(0)
    assert page.complaints == []  # type: ignore[attr-defined]


def test_a_person_copies_the_command_and_is_told_why_a_strike_cannot_be_repeated(
    page: Page, portal: Portal, run: Run
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    failed = run.scenarios.get(number=1).crash_points.get(verdict="failed")
    page.goto(portal.url + failed.get_absolute_url())
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.locator("#repeat").text_content()
    assert "--scenario kill_during_trade_open" in copied
    page.get_by_role("button", name="Strike here again").click()
    expect(page.get_by_role("status")).to_contain_text("target's description lacks")
    shot(page, "repeat-refused")


def test_an_empty_portal_offers_to_start_chaos(page: Page, portal: Portal) -> None:
    User.objects.filter(username="engineer").update(is_superuser=True)
    Target.objects.get_or_create(name="rehearsal-desk")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url("**/chaos/")
    expect(page.get_by_text("No chaos yet.")).to_be_visible()
    page.get_by_role("button", name="Start chaos").click()
    expect(page.get_by_role("status")).to_contain_text("lacks")
    assert page.complaints == []  # type: ignore[attr-defined]
