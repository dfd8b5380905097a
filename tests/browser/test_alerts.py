"""What whoever is called meets: the inbox by keyboard, a critical alert in title and sound, each page in each size."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone
from playwright.sync_api import Page, expect

from gates import engine, pulses, roles
from gates.alerts.delivery import drills
from gates.alerts.raising import raise_alert
from gates.models import Alert, Beat
from tests.browser.conftest import Portal, shot
from tests.browser.test_browser import SIZES, breaches
from tests.gates.alerts.pages.staged import staged

ADDRESSES = {
    "inbox": "/alerts/",
    "inbox-all": "/alerts/?state=all",
    "inbox-empty": "/alerts/?target=nobody",
    "times": "/alerts/times/",
    "rules": "/alerts/rules/",
    "routes": "/alerts/routes/",
    "route-new": "/alerts/routes/add/",
    "drills": "/alerts/drills/",
    "streams": "/streams/",
}


@pytest.fixture
def alerts(page: Page) -> dict[str, Alert]:
    """The engineer who is signed in has the role, and the portal is full of alerts."""
    roles.make_groups()
    engineer = User.objects.get(username="engineer")
    engineer.groups.add(Group.objects.get(name="engineer"))
    rows = staged(engineer)
    drills.start(engineer, timezone.now())
    return rows


@pytest.mark.parametrize(("theme", "size"), [("light", "wide"), ("dark", "phone")])
def test_each_page_of_alerts_draws_without_complaint_and_fits(
    page: Page, portal: Portal, alerts: dict[str, Alert], theme: str, size: str
) -> None:
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    own = {f"alert-{name}": row.get_absolute_url() for name, row in alerts.items()}
    for name, address in (ADDRESSES | own).items():
        page.goto(portal.url + address)
        shot(page, f"{name}-{size}-{theme}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than the screen"
        assert breaches(page) == [], name
    assert page.complaints == []  # type: ignore[attr-defined]


def test_a_new_critical_alert_calls_by_title_and_sound_and_is_acknowledged_by_the_keyboard(
    page: Page, portal: Portal
) -> None:
    roles.make_groups()
    User.objects.get(username="engineer").groups.add(Group.objects.get(name="engineer"))
    page.goto(f"{portal.url}/alerts/")
    page.get_by_role("button", name="Sound: off").click()
    expect(page.locator("html[data-sounded='1']")).to_have_count(1)
    now = timezone.now()
    new = raise_alert(
        portal.going, rule="missed SL/TP trigger", level="critical", sentence="The bid reached stop 1.0990 of trade 7.",
        event_at=now, now=now,
    )  # fmt: skip
    expect(page.locator("html[data-sounded='2']")).to_have_count(1, timeout=20_000)
    expect(page).to_have_title("■ 2 critical · Alerts · wartest")
    expect(page.locator("#badge")).to_have_text("3")
    row = page.locator(f"tr[data-alert='{new.pk}']")
    expect(row).to_be_visible()
    while not row.evaluate("row => row.contains(document.activeElement)"):
        page.keyboard.press("j")
    shot(page, "inbox-marked")
    page.keyboard.press("a")
    expect(page.get_by_role("heading", name="Acknowledge")).to_be_visible()
    shot(page, "inbox-acknowledging")
    assert breaches(page) == []
    page.keyboard.type("The desk is told; I look at trade 7.")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="You acknowledged alert")).to_be_visible()
    new.refresh_from_db()
    assert (new.state, new.steps.last().words) == ("acknowledged", "The desk is told; I look at trade 7.")
    page.locator(f"#alert-{new.pk}").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{new.get_absolute_url()}")
    assert page.complaints == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(("theme", "size"), [("light", "wide"), ("dark", "phone")])
def test_every_page_says_by_itself_which_part_of_the_portal_has_stopped(
    page: Page, portal: Portal, theme: str, size: str
) -> None:
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))  # type: ignore[arg-type]
    strip = page.locator("#stopped")
    for kind in pulses.BEATING:
        engine.beat(kind, timezone.now() + timedelta(hours=1))  # a clock that was put back is no standstill
    page.goto(f"{portal.url}/about/")
    expect(strip).to_be_hidden()
    stood = timezone.now() - timedelta(minutes=2)
    for kind in ("streams", "delivery"):
        Beat.objects.filter(kind=kind).update(last_at=stood)
    expect(strip.locator("p")).to_have_count(2, timeout=20_000)
    expect(strip).to_contain_text(
        f"The process that delivers alerts has shown no pulse since {stood:%Y-%m-%d %H:%M:%S} UTC"
    )
    expect(strip).to_contain_text("alerts wait in the outbox")
    shot(page, f"stopped-{size}-{theme}")
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]
    assert breaches(page) == []
    engine.beat("streams", timezone.now() + timedelta(hours=1))
    engine.beat("delivery", timezone.now() + timedelta(hours=1))
    expect(strip).to_be_hidden(timeout=20_000)
    assert page.complaints == []  # type: ignore[attr-defined]


def test_g_then_a_goes_to_the_alerts_and_acknowledges_nothing(page: Page, portal: Portal) -> None:
    page.goto(f"{portal.url}/alerts/?state=all")
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.wait_for_url(f"{portal.url}/alerts/")
    expect(page.locator("dialog[open]")).to_have_count(0)
