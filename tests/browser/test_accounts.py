"""A person's first quarter of an hour: the invitation, a password, a second factor, and their codes."""

import base64
import re
import time
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.contrib.auth.models import User
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Portal, shot
from tests.browser.test_browser import breaches
from wartest_site import people

PASSWORD = "correct horse battery"


def code_of(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))


def looked_at(page: Page, name: str) -> None:
    """Look at the page in both themes and on a phone: nothing wider than the screen, no breach of accessibility."""
    for size, theme in (((1280, 900), "light"), ((390, 844), "dark")):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
        shot(page, f"{name}-{size[0]}-{theme}")
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0], name
        assert breaches(page) == [], name


@pytest.fixture
def guest(context: BrowserContext, portal: Portal) -> Page:
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.complaints = complaints  # type: ignore[attr-defined]
    return page


def test_an_invited_person_comes_in_and_enrols_a_second_factor(guest: Page, portal: Portal) -> None:
    page: Any = guest
    people.add("anna", ["risk officer"])
    page.goto(portal.url + people.invitation("anna"))
    expect(page.get_by_role("heading", name="Choose a password")).to_be_visible()
    looked_at(page, "invitation")
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("New password confirmation").fill(PASSWORD)
    page.get_by_role("button", name="Keep this password").click()
    sign_in(page)
    page.get_by_role("link", name="anna").click()
    looked_at(page, "account-password-only")
    secret = enrol(page)
    expect(page.get_by_text("signing in and signing off ask for its code")).to_be_visible()
    looked_at(page, "account-enrolled")
    page.get_by_role("link", name="Sign out").click()
    looked_at(page, "sign-out")
    page.get_by_role("button", name="Sign out").click()
    sign_in(page)
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    looked_at(page, "second-factor")
    page.get_by_label("Code").fill(secret)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="anna")).to_be_visible()
    assert User.objects.get(username="anna").last_login is not None
    assert page.complaints == []


def sign_in(page: Page) -> None:
    page.get_by_label("Username").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def enrol(page: Page) -> str:
    """Enrol an app as a person would, and return a recovery code."""
    page.get_by_role("button", name="Enrol an authenticator app").click()
    expect(page.get_by_role("heading", name="Say again who you are")).to_be_visible()
    looked_at(page, "reauthenticate")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    picture = page.get_by_role("img", name="QR code")
    expect(picture).to_be_visible()
    assert picture.evaluate("(image) => image.naturalWidth") > 50
    assert b"<svg" in base64.b64decode((picture.get_attribute("src") or "").partition(",")[2])
    looked_at(page, "enrol")
    secret = page.locator("code").inner_text()
    page.get_by_label("code").fill(code_of(secret))
    page.get_by_role("button", name="Enrol it").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    looked_at(page, "recovery-codes")
    codes = page.locator("pre").inner_text().split()
    assert all(re.fullmatch(r"[0-9A-Za-z-]{8,10}", code) for code in codes)
    assert len(codes) == 10
    page.get_by_role("link", name="Done").click()
    return codes[0]
