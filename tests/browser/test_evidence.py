"""The pages of the evidence in a browser: verify now, what is wrong by name, and the cover without the portal."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from gates.evidence.keeping import run_folder
from gates.models import Campaign
from tests.browser.conftest import Portal, shot
from tests.gates.evidence.evident import evident_campaign, packed
from tests.gates.ledger_audit.conftest import home  # noqa: F401 - a fixture

SLOWEST_MS = 60_000  # a busy machine hashes slowly
SIZES = {"wide": (1280, 900), "phone": (390, 844)}


@pytest.fixture
def campaign(portal: Portal, home: Path, postgres_server: Any) -> Campaign:  # noqa: F811 - the fixture
    return evident_campaign(postgres_server)


def fits(page: Page, name: str, size: str) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0], f"{name} is wider than the screen"
    breaches = Axe().run(page).response["violations"]
    assert [(breach["id"], [node["target"] for node in breach["nodes"]][:3]) for breach in breaches] == [], name


def test_evidence_is_verified_in_the_browser_and_a_changed_file_is_named(
    page: Page, portal: Portal, campaign: Campaign
) -> None:
    address = f"{portal.url}/campaigns/{campaign.pk}/evidence/"
    page.goto(address)
    expect(page.locator(".now")).to_contain_text("nobody has looked yet")
    page.get_by_role("button", name="Verify now").click(timeout=SLOWEST_MS)
    expect(page.locator(".now")).to_contain_text("passed · verified", timeout=SLOWEST_MS)
    looks = {"verified": address, "report": portal.url + campaign.reports.get(run=None).get_absolute_url()}
    run = campaign.runs.get(gate=2)
    (run_folder(run.pk) / "strikes.jsonl").write_text("{}\n")
    page.goto(f"{portal.url}/evidence/")
    page.get_by_role("button", name="Verify now").click(timeout=SLOWEST_MS)
    expect(page.locator(".sentences.failed")).to_contain_text("strikes.jsonl has changed", timeout=SLOWEST_MS)
    looks["chain"] = f"{portal.url}/evidence/"
    for theme in ("light", "dark"):
        for size, (width, height) in SIZES.items():
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            page.set_viewport_size({"width": width, "height": height})
            for name, place in looks.items():
                page.goto(place)
                shot(page, f"evidence-{name}-{size}-{theme}")
                fits(page, name, size)
    assert page.complaints == []  # type: ignore[attr-defined]


def test_the_cover_of_the_zip_opens_without_the_portal(page: Page, campaign: Campaign, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(packed(campaign))
    with zipfile.ZipFile(tmp_path / "x.zip") as unpacked:
        unpacked.extractall(tmp_path)
    page.context.set_offline(True)
    cover = (tmp_path / f"wartest-evidence-campaign-{campaign.pk}" / "index.html").as_uri()
    for theme in ("light", "dark"):
        for size, (width, height) in SIZES.items():
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            page.set_viewport_size({"width": width, "height": height})
            page.goto(cover)
            shot(page, f"evidence-cover-{size}-{theme}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
    expect(page.get_by_role("heading", name=f"Evidence of campaign {campaign.pk}: fx-desk")).to_be_visible()
    for link in page.get_by_role("link").all():
        target = link.get_attribute("href") or ""
        assert (tmp_path / f"wartest-evidence-campaign-{campaign.pk}" / target.replace("%20", " ")).is_file(), target
