"""The pages of campaigns and incidents in a browser: readable in both themes and on a phone, and a way through."""

import sys
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, expect

from gates.campaigns.commands import stop
from gates.incidents import commands, proving
from gates.models import Campaign, Finding, Incident, Proof, Review, Run, Target
from tests.browser.conftest import Portal, shot
from tests.browser.test_accounts import looked_at
from tests.gates.cast import a_campaign
from tests.gates.chaos.pages.staged import staged_run
from tests.gates.incidents.cast import NEW, SCRIPT

SIZES = {"wide": (1280, 900), "phone": (390, 844)}


@pytest.fixture
def incident(portal: Portal) -> Incident:
    """The incident of the failed 72-hour run, whose person may do everything, and a target with a prevention test."""
    User.objects.filter(username="engineer").update(is_superuser=True)
    campaign = portal.failed.campaign
    old = campaign.build
    command = [sys.executable, "-c", SCRIPT.replace("sha256:0", old), "{build}", "{test}"]
    Target.objects.filter(pk=campaign.target_id).update(spec={"prevention": {"command": command}})
    at = portal.failed.planned_end
    reason = "Gate 1 failed: 3 critical errors or interventions; none may be."
    stop(campaign.pk, reason, verdict="failed", now=at)
    commands.open_missing(at)
    return Incident.objects.get()


def proven(incident: Incident) -> Incident:
    """Take it to its approval."""
    engineer = User.objects.get(username="engineer")
    found = Finding.objects.filter(run__campaign=incident.campaign).values_list("pk", flat=True)[:2]
    cause = "A retry booked the answer of a lost request twice: the idempotency key was made anew for each try."
    now = timezone.now()
    commands.investigate(incident.pk, cause=cause, findings=found, person=engineer, now=now)
    commands.fix(incident.pk, words="One key for all tries of one order.", build=NEW, person=engineer, now=now)
    for proof in commands.ask_for_proof(
        incident.pk, test="tests/test_retry.py::test_one_key", person=engineer, now=now
    ):
        proving._claim(Proof.objects.get(pk=proof.pk), now)
        proving.prove(proof.pk)
    commands.accept_proof(incident.pk, person=engineer, now=now)
    return incident


@pytest.mark.parametrize(
    ("theme", "size"), [("light", "wide"), ("dark", "wide"), ("light", "phone"), ("dark", "phone")]
)
def test_each_page_of_campaigns_and_incidents_draws_without_complaint_and_fits(
    page: Page, portal: Portal, incident: Incident, theme: str, size: str
) -> None:
    first = portal.failed.campaign
    second = a_campaign(profile="production", passed=(1, 2, 3), name="fx-desk")
    Campaign.objects.filter(pk=second.pk).update(state="ready")
    now = timezone.now()
    for number, opens in ((1, -2), (2, 0), (3, 2)):
        opens_at = now + timedelta(hours=opens) - timedelta(minutes=1)
        Review.objects.create(run=portal.going, number=number, opens_at=opens_at, due_at=opens_at + timedelta(hours=1))
    Run.objects.filter(pk=portal.going.pk).update(cursor=1)
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    addresses = {
        "campaigns": "/campaigns/",
        "campaign-failed": first.get_absolute_url(),
        "campaign-going": portal.going.campaign.get_absolute_url(),
        "campaign-ready": second.get_absolute_url(),
        "campaigns-compared": f"/campaigns/compare/?before={first.pk}&after={second.pk}",
        "incident-open": incident.get_absolute_url(),
        "run-reviews": portal.going.get_absolute_url(),
        "dashboard": "/",
        "incident-proven": incident.get_absolute_url(),
    }
    for name, address in addresses.items():
        if name == "incident-proven":
            proven(incident)
        page.goto(portal.url + address)
        shot(page, f"{name}-{size}-{theme}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than the screen"
        found = [
            (breach["id"], [node["target"] for node in breach["nodes"]][:3])
            for breach in Axe().run(page).response["violations"]
        ]
        assert found == [], name
    assert page.complaints == []  # type: ignore[attr-defined]


@pytest.fixture
def struck(portal: Portal) -> Incident:
    """The incident of a campaign that failed at gate 2, at its prevention test; a target that starts both builds."""
    User.objects.filter(username="engineer").update(is_superuser=True)
    engineer = User.objects.get(username="engineer")
    campaign = a_campaign(profile="production", passed=(1,), name="fx-desk")
    program = ["/srv/desk/builds/{build}/desk", "--port", "{port}"]
    Target.objects.filter(pk=campaign.target_id).update(spec={"prevention": {"program": program}})
    run = staged_run(profile="production", campaign=campaign)
    Finding.objects.create(run=run, rule="exposure", level="critical", sentence="Two orders.", found_at=timezone.now())
    stop(campaign.pk, "Gate 2 failed: 3 strikes left wrong books.", verdict="failed", now=timezone.now())
    commands.open_missing(timezone.now())
    incident = Incident.objects.get()
    now, found = timezone.now(), Finding.objects.filter(run=run).values_list("pk", flat=True)
    commands.investigate(incident.pk, cause="It sends again.", findings=found, person=engineer, now=now)
    commands.fix(incident.pk, words="It asks the broker first.", build=NEW, person=engineer, now=now)
    return incident


def test_a_strike_that_failed_is_repeated_on_both_builds_from_the_incidents_page(
    page: Page, portal: Portal, struck: Incident
) -> None:
    page.goto(portal.url + struck.get_absolute_url())
    looked_at(page, "incident-of-gate-2")
    page.get_by_label("Crash point that failed").select_option(index=0)
    page.get_by_role("button", name="Repeat it on both builds").click()
    expect(page.locator("#proofs")).to_contain_text("A test runs")
    for proof in Proof.objects.order_by("pk"):
        verdict = "failed" if proof.build == struck.campaign.build else "passed"
        receipt = {"strike": "lose the answer", "message": "broker: POST orders", "proof": {"reset_seen": True}}
        Proof.objects.filter(pk=proof.pk).update(state="running")
        words = f"lose the answer at broker: POST orders in open: {verdict}."
        Proof.objects.filter(pk=proof.pk).update(state="done", verdict=verdict, receipt=receipt, output=words)
    page.reload()
    page.get_by_text("program, receipt and result").first.click()
    looked_at(page, "incident-of-gate-2-proven")
    page.get_by_role("button", name="It is proven").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("waits for approval")
    assert page.complaints == []  # type: ignore[attr-defined]


def test_a_person_goes_from_the_dashboard_to_the_cause_and_sees_a_campaign_move(
    page: Page, portal: Portal, incident: Incident
) -> None:
    page.goto(portal.url + incident.campaign.get_absolute_url())
    page.get_by_role("link", name="to be investigated").first.click()
    page.get_by_role("checkbox").first.check()
    page.get_by_role("textbox", name="The cause").fill("A leap second.")
    page.get_by_role("button", name="The cause is found").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("to be fixed")
    expect(page.get_by_text("A leap second.")).to_be_visible()
    page.get_by_role("textbox", name="What was changed").fill("Smeared clocks.")
    page.get_by_role("button", name="The fixed build runs").click()
    expect(page.locator(".strip[role=status]")).to_contain_text("does not show its build now")
    going = portal.going.campaign
    page.goto(portal.url + going.get_absolute_url())
    expect(page.locator(".now")).to_contain_text("its gates go on")
    stop(going.pk, "The target's build changed in mid-campaign.", verdict="failed", now=timezone.now())
    expect(page.locator(".now")).to_contain_text("build changed in mid-campaign")
