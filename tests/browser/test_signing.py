"""Three people in three browsers decide about one campaign, each having said again who they are."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page, expect

from gates.models import Campaign, Finding, SignOff
from tests.browser.conftest import Portal
from tests.browser.test_accounts import PASSWORD, code_of, looked_at
from tests.gates.signoff.deciding import SIGNERS, Decided, a_decision, a_second_finding, a_strange_run, team

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def decided(portal: Portal) -> Decided:
    """A campaign with something to read: an earlier one that was stopped, strikes that do not apply, a finding."""
    people = team()
    for person in people.values():
        person.set_password(PASSWORD)
        person.save()
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=4)
    before = a_decision(people=people, start=start - timedelta(days=9), build="sha256:1b9e33c07af2d481", name="fx-desk")
    Campaign.objects.filter(pk=before.campaign.pk).update(
        state="stopped", stopped_reason="The risk officer asked for a fix.", verdict="inconclusive", ended_at=start
    )
    decided = a_decision(people=people, start=start)
    a_strange_run(decided.campaign)
    return decided


@pytest.fixture
def browser_of(chromium: Browser, portal: Portal) -> Iterator[Callable[[str], Page]]:
    """Return a signed-in page in a browser context of this person's own; what it complains of is in `.complaints`."""
    contexts = []

    def open_for(name: str) -> Page:
        context = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
        contexts.append(context)
        page: Any = context.new_page()
        page.complaints = []
        page.on("console", lambda line: page.complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(f"{portal.url}/account/login/")
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        return page

    yield open_for
    for context in contexts:
        context.close()


def address(portal: Portal, decided: Decided) -> str:
    return f"{portal.url}/campaigns/{decided.campaign.pk}/sign-off/"


def give_password(page: Page) -> None:
    page.get_by_role("link", name="give your password").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("heading", name="Your decision")).to_be_visible()


def approve(page: Page, decided: Decided) -> None:
    page.get_by_label("What you looked at").fill("I read the reports of the four gates and the review.")
    page.get_by_label("To approve, type").fill(f"I approve campaign {decided.campaign.pk}")
    page.get_by_role("button", name="Approve").click()


def test_three_people_sign_in_three_browsers(
    browser_of: Callable[[str], Page], portal: Portal, decided: Decided
) -> None:
    dora = User.objects.get(username="dora")
    TOTP.activate(dora, SECRET)
    codes = RecoveryCodes.activate(dora).get_unused_codes()
    pages: dict[str, Any] = {name: browser_of(name) for name in SIGNERS}
    pages["dora"].get_by_label("Code").fill(code_of(SECRET))
    pages["dora"].get_by_role("button", name="Sign in").click()
    for page in pages.values():
        expect(page.get_by_role("link", name="Sign out")).to_be_visible()
        page.goto(address(portal, decided))
        expect(page.get_by_role("button", name="Approve")).to_be_disabled()
    looked_at(pages["ben"], "sign-off-nobody-yet")
    for page in pages.values():
        give_password(page)
    expect(pages["dora"].get_by_role("button", name="Approve")).to_be_disabled()
    pages["dora"].get_by_role("link", name="give your second factor").click()
    looked_at(pages["dora"], "second-factor-again")
    pages["dora"].get_by_label("Code").fill(codes[0])
    pages["dora"].get_by_role("button", name="Confirm").click()
    looked_at(pages["dora"], "sign-off-desk")
    for name in SIGNERS:
        approve(pages[name], decided)
        expect(pages[name].get_by_role("status").filter(has_text="You have approved as")).to_be_visible()
    looked_at(pages["emil"], "sign-off-approved")
    expect(pages["emil"].locator(".now")).to_contain_text("Every role has approved.")
    assert Campaign.objects.get(pk=decided.campaign.pk).state == "approved"
    assert SignOff.objects.get(person=dora).authenticated_by[1]["method"] == "second factor"
    assert [line for page in pages.values() for line in page.complaints] == []


def test_a_stale_page_and_a_second_tab_are_refused_and_the_words_stay(
    browser_of: Callable[[str], Page], portal: Portal, decided: Decided
) -> None:
    page: Any = browser_of("emil")
    page.goto(address(portal, decided))
    give_password(page)
    other = page.context.new_page()
    other.goto(address(portal, decided))
    Finding.objects.filter(run__campaign=decided.campaign).update(cause="The disk was slow, and the backup ran.")
    approve(page, decided)
    expect(page.get_by_role("alert").filter(has_text="The evidence changed while you read")).to_be_visible()
    expect(page.get_by_label("What you looked at")).to_have_value(re.compile("reports of the four"))
    looked_at(page, "sign-off-refused")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status").filter(has_text="You have approved as owner")).to_be_visible()
    other.goto(address(portal, decided))
    expect(other.get_by_role("button", name="Withdraw my decision")).to_be_enabled()
    assert SignOff.objects.count() == 1
    assert [line for line in page.complaints if "409" not in line] == []


def test_a_refusal_is_as_easy_and_is_withdrawn_by_a_second_row(
    browser_of: Callable[[str], Page], portal: Portal, decided: Decided
) -> None:
    a_second_finding(decided.campaign)
    page: Any = browser_of("dora")
    page.goto(address(portal, decided))
    give_password(page)
    expect(page.get_by_role("button", name="Approve")).to_be_disabled()
    page.get_by_label("What you looked at").fill("Nobody understands the slow query of Tuesday.")
    page.get_by_role("button", name="Refuse").click()
    expect(page.locator(".now")).to_contain_text("dora refused as risk officer: Nobody understands the slow query")
    looked_at(page, "sign-off-refusal")
    page.get_by_label("Why you withdraw it").fill("It was a backup, I have seen its log.")
    page.get_by_role("button", name="Withdraw my decision").click()
    expect(page.locator("#signatures ~ ol")).to_contain_text("It was a backup, I have seen its log.")
    assert [row.decision for row in SignOff.objects.order_by("number")] == ["refuse", "withdraw"]
    assert page.complaints == []


def test_a_reviewer_records_a_code_review(browser_of: Callable[[str], Page], portal: Portal, decided: Decided) -> None:
    page: Any = browser_of("carla")
    page.goto(address(portal, decided))
    page.get_by_text("Record your review").click()
    page.get_by_label("What you reviewed").fill("I read the diff of the margin code, line by line.")
    page.get_by_label("Where it can be read").fill("review 119")
    page.get_by_role("button", name="I accept the code").click()
    expect(page.get_by_text("I read the diff of the margin code, line by line.")).to_be_visible()
    assert page.complaints == []
