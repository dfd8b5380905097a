"""What a person meets in a browser: pages without complaint, readable by all, live, and driven by the keyboard."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, expect

from gates.alerts.raising import resolve
from gates.models import Alert, Run
from tests.browser.conftest import Portal, shot

SIZES = {"wide": (1280, 900), "phone": (390, 844)}


def addresses(portal: Portal) -> dict[str, str]:
    failed = portal.failed
    return {
        "dashboard": "/",
        "runs": "/runs/",
        "run-going": portal.going.get_absolute_url(),
        "run-failed": failed.get_absolute_url(),
        "slots": f"{failed.get_absolute_url()}slots/?status=failed",
        "slot": failed.slots.filter(verdict="failed").first().get_absolute_url(),
        "finding": failed.findings.first().get_absolute_url(),
        "report": failed.report.get_absolute_url(),
        "about": "/about/",
    }


@pytest.mark.parametrize(("theme", "size"), [("light", "wide"), ("dark", "phone")])
def test_each_page_draws_without_complaint_and_fits(page: Page, portal: Portal, theme: str, size: str) -> None:
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    for name, address in addresses(portal).items():
        page.goto(portal.url + address)
        if name.startswith("run-"):
            expect(page.locator("#plot-balance .main-svg").first).to_be_visible()
        shot(page, f"{name}-{size}-{theme}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than the screen"
        assert breaches(page) == [], name
    assert page.complaints == []  # type: ignore[attr-defined]


def breaches(page: Page) -> list[Any]:
    found = Axe().run(page).response["violations"]
    return [(breach["id"], [node["target"] for node in breach["nodes"]][:3]) for breach in found]


@pytest.mark.parametrize(("theme", "size"), [("light", "wide"), ("dark", "phone")])
def test_sign_in_and_errors_are_pages_too(page: Page, portal: Portal, theme: str, size: str) -> None:
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    for name, address in (
        ("missing", "/no/such/page"),
        ("forbidden", "/admin/"),
        ("sign-out", "/account/logout/"),
        ("password", "/account/password/change/"),
    ):
        page.goto(portal.url + address)
        shot(page, f"{name}-{size}-{theme}")
        assert breaches(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than the screen"
    page.context.clear_cookies()
    page.goto(portal.url)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("Username").fill("engineer")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert").filter(has_text="correct")).to_be_visible()
    shot(page, f"sign-in-refused-{size}-{theme}")
    assert breaches(page) == []
    unasked = [line for line in page.complaints if "404" not in line and "403" not in line]  # type: ignore[attr-defined]
    assert unasked == []


def test_an_engineer_starts_a_run_and_is_told_why_it_cannot_be(page: Page, portal: Portal) -> None:
    User.objects.filter(username="engineer").update(is_superuser=True)
    page.goto(f"{portal.url}/runs/")
    page.get_by_label("Profile").select_option("smoke")
    page.get_by_role("button", name="Start gate 1").click()
    expect(page.get_by_role("status")).to_contain_text("lacks [ledger] url: add it.")
    shot(page, "start-refused")
    assert breaches(page) == []
    assert page.complaints == []  # type: ignore[attr-defined]


def test_a_verdict_arrives_by_itself_and_the_last_render_asks_no_more(page: Page, portal: Portal) -> None:
    page.goto(portal.url + portal.going.get_absolute_url())
    expect(page.locator("#plot-balance .main-svg").first).to_be_visible()
    expect(page).to_have_title("■ 1 critical · ◐ running · Gate 1")
    run = Run.objects.get(pk=portal.going.pk)
    Run.objects.filter(pk=run.pk).update(
        state="closed", verdict="failed", closed_at=run.planned_end, cursor=run.cursor + 1
    )
    expect(page.locator(".now")).to_contain_text("failed")
    expect(page).to_have_title("■ 1 critical · ■ failed · Gate 1")
    expect(page.locator("#live[hx-get]")).to_have_count(0)
    expect(page.locator("#plot-balance .main-svg").first).to_be_visible()


def test_the_dashboard_learns_of_an_alert(page: Page, portal: Portal) -> None:
    expect(page.get_by_text("CPU (93 %) > 80 % for 10 minutes.")).to_be_visible()
    now = timezone.now()
    assert resolve(Alert.objects.get(level="medium").pk, rechecked_at=now, words="CPU is at 3 %.", now=now)
    expect(page.get_by_text("CPU (93 %) > 80 % for 10 minutes.")).to_have_count(0)


def test_the_keyboard_reaches_everything(page: Page, portal: Portal) -> None:
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_url("**/runs/")
    page.keyboard.press("/")
    page.keyboard.type("production")
    expect(page.locator("#run-rows tbody tr:visible")).to_have_count(1)


def test_arrows_move_in_the_grid_and_enter_opens_the_cell(page: Page, portal: Portal) -> None:
    page.goto(portal.url + portal.failed.get_absolute_url())
    page.locator("#cell-0-0").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.id") == "cell-1-1"
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.dataset.column") == "71"
    page.keyboard.press("Enter")
    page.wait_for_url("**/slots/?check=*")


def test_a_chosen_theme_stays(page: Page, portal: Portal) -> None:
    page.locator("#theme").click()
    page.locator("#theme").click()
    page.goto(f"{portal.url}/about/")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_a_report_prints_dark_on_white_whatever_the_theme(page: Page, portal: Portal) -> None:
    page.emulate_media(color_scheme="dark", media="print")
    page.goto(portal.url + portal.failed.report.get_absolute_url())
    shot(page, "report-printed")
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    ink = page.evaluate("getComputedStyle(document.querySelector('h1')).color")
    assert (ground, ink) == ("rgb(255, 255, 255)", "rgb(0, 0, 0)")
    expect(page.locator("header.top")).to_be_hidden()
