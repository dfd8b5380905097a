"""The catalogue of planted defects in a browser: readable in both themes and on a phone, and followed down to a row."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from gates.detection.rehearsing import Outcome
from gates.models import Rehearsal
from tests.browser.conftest import Portal, shot
from tests.browser.test_chaos import SIZES
from tests.gates.detection.test_defect_pages import STRUCK, by_hand, planted, rehearsed, struck


@pytest.fixture
def rehearsal(portal: Portal) -> Rehearsal:
    """Two defects caught, one missed before; and a signed-in person who may do everything."""
    User.objects.filter(username="engineer").update(is_superuser=True)
    rehearsed(struck(Outcome.MISSED))
    return rehearsed(struck(), by_hand())


@pytest.mark.parametrize(
    ("theme", "size"), [("light", "wide"), ("dark", "wide"), ("light", "phone"), ("dark", "phone")]
)
def test_matrix_and_defect_draw_without_complaint_and_fit(
    page: Page, portal: Portal, rehearsal: Rehearsal, theme: str, size: str
) -> None:
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    for name, address in {
        "defects": "/defects/",
        "defect": f"/defects/{STRUCK}/",
        "unrun": "/defects/no-timeout/",
    }.items():
        page.goto(portal.url + address)
        shot(page, f"{name}-{size}-{theme}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than the screen"
        found = [
            (breach["id"], [node["target"] for node in breach["nodes"]][:3])
            for breach in Axe().run(page).response["violations"]
        ]
        assert found == [], name
    assert page.complaints == []  # type: ignore[attr-defined]


def test_a_defect_is_found_from_the_chaos_page_and_followed_to_the_row_that_is_wrong(
    page: Page, portal: Portal, rehearsal: Rehearsal
) -> None:
    page.goto(f"{portal.url}/chaos/")
    page.get_by_role("link", name="The planted defects").click()
    page.wait_for_url("**/defects/")
    page.keyboard.press("/")
    page.keyboard.type("COMMIT answer")
    expect(page.locator("#defect-rows tbody tr:visible")).to_have_count(1)
    page.get_by_role("link", name=planted(STRUCK).title).click()
    page.wait_for_url(f"**/defects/{STRUCK}/")
    expect(page.get_by_role("region", name="Changed rows of balance events")).to_contain_text("PNL_REALIZED")
    expect(page.locator("#repeat")).to_have_text(f"uv run manage.py rehearse_defect {STRUCK}")


def test_the_matrix_fills_by_itself_while_a_rehearsal_goes_on(page: Page, portal: Portal) -> None:
    rehearsed(struck(), clean=None)
    page.goto(f"{portal.url}/defects/")
    lane = page.locator("#defect-rows tr", has_text=planted("float-money").title)
    expect(lane.locator(".stop .status")).to_have_class("status waiting")
    rehearsed(by_hand())
    expect(lane.locator(".stop .status")).to_have_class("status passed")
