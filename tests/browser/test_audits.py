"""The pages of gate 3 in a browser: readable in both themes and on a phone, live, and a way from finding to rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from gates import commands
from gates.ledger_audit import filling
from gates.models import Finding, Run
from tests.audits.books import clean_books
from tests.browser.conftest import Portal, shot
from tests.gates.ledger_audit.auditable import Auditable, auditable, claimed, started, work
from tests.gates.ledger_audit.conftest import home  # noqa: F401 - a fixture

SLOWEST_MS = 30_000  # a busy machine reads and hashes the sealed files slowly
SIZES = {"wide": (1280, 900), "phone": (390, 844)}


@pytest.fixture
def desk(portal: Portal, home: Path, postgres_server: Any) -> Iterator[Auditable]:  # noqa: F811 - the fixture
    """A target with clean books, and a signed-in person who may do everything."""
    User.objects.filter(username="engineer").update(is_superuser=True, is_staff=True)
    with auditable(clean_books(), postgres_server) as ready:
        yield ready


@pytest.fixture
def audits(desk: Auditable) -> tuple[Run, Run]:
    """A clean audit, and one after an amount and a chain were broken."""
    clean = work(started(desk))
    desk.sql("UPDATE wartest.balance_events SET amount = amount + 0.0001 WHERE sequence = 1")
    desk.sql("UPDATE wartest.balance_events SET balance_before = balance_before - 7 WHERE sequence = 2")
    return clean, work(started(desk))


@pytest.mark.parametrize(
    ("theme", "size"), [("light", "wide"), ("dark", "wide"), ("light", "phone"), ("dark", "phone")]
)
def test_each_page_of_an_audit_draws_without_complaint_and_fits(
    page: Page, portal: Portal, audits: tuple[Run, Run], theme: str, size: str
) -> None:
    clean, broken = audits
    finding = broken.findings.filter(rule="balance row").first()
    Finding.objects.filter(pk=finding.pk).update(state="target bug", cause="An amount was rounded.")
    addresses = {
        "audits": "/audits/",
        "audit-clean": clean.get_absolute_url(),
        "audit-broken": broken.get_absolute_url(),
        "audit-compared": f"/audits/compare/?before={clean.pk}&after={broken.pk}",
        "audit-finding": finding.get_absolute_url(),
        "audit-slot": broken.slots.get(check_name="balance_row").get_absolute_url(),
    }
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    for name, address in addresses.items():
        page.goto(portal.url + address)
        if name == "audit-finding":
            expect(page.get_by_role("heading", name="Balance events")).to_be_visible(timeout=SLOWEST_MS)
        shot(page, f"{name}-{size}-{theme}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than the screen"
        found = [
            (breach["id"], [node["target"] for node in breach["nodes"]][:3])
            for breach in Axe().run(page).response["violations"]
        ]
        assert found == [], name
    assert page.complaints == []  # type: ignore[attr-defined]


def test_a_person_starts_an_audit_and_sees_it_fill_and_fail_down_to_the_row(
    page: Page, portal: Portal, desk: Auditable
) -> None:
    desk.sql("UPDATE wartest.balance_events SET amount = amount + 0.0001 WHERE sequence = 1")
    page.goto(f"{portal.url}/audits/")
    page.get_by_label("Target").select_option("fx-desk")
    page.get_by_label("Profile").select_option("smoke")
    page.get_by_role("button", name="Start an audit").click()
    page.wait_for_url("**/runs/*/")
    run = Run.objects.get(gate=3)
    planned = run.slots.count()
    expect(page.locator(".now")).to_contain_text(f"0 of {planned} checks judged")
    shot(page, "audit-going")
    audit = claimed(run)
    filling.fill(audit)
    expect(page.locator(".now")).to_contain_text(f"{planned} of {planned} checks judged", timeout=SLOWEST_MS)
    commands.close_run(run.pk, run.planned_end)
    expect(page.locator(".now")).to_contain_text("failed", timeout=SLOWEST_MS)
    expect(page.locator("#live[hx-get]")).to_have_count(0)
    page.get_by_role("row", name="Balance row").get_by_role("link", name="it", exact=True).click()
    expect(page.locator("tr.named").first).to_contain_text("b1", timeout=SLOWEST_MS)
    assert page.complaints == []  # type: ignore[attr-defined]


def test_an_auditor_finds_the_way_to_the_admin_and_gives_many_an_owner(
    page: Page, portal: Portal, audits: tuple[Run, Run]
) -> None:
    finding = audits[1].findings.first()
    page.goto(portal.url + finding.get_absolute_url())
    page.get_by_role("link", name="work on it").click()
    page.get_by_label("Cause").fill("A rounded amount.")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/admin/gates/finding/")
    page.locator("#action-toggle").check()
    page.get_by_label("Action:").select_option("assign")
    page.get_by_role("button", name="Run").click()
    page.get_by_label("State").select_option("target bug")
    shot(page, "admin-assign")
    page.get_by_role("button", name="Give to all").click()
    expect(page.locator(".messagelist")).to_contain_text("changed")
    shot(page, "admin-findings")
    page.goto(portal.url + finding.get_absolute_url())
    expect(page.get_by_text("A rounded amount.").first).to_be_visible()
    expect(page.get_by_text("engineer").first).to_be_visible()
    # The admin has no icon of its own; nothing else may be missing or refused there.
    assert [words for words in page.complaints if "404" not in words] == []  # type: ignore[attr-defined]
