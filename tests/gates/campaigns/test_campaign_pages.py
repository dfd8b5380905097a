"""The pages of campaigns and incidents: what they say, who may do what, and what is refused."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from gates import commands
from gates.campaigns import pages
from gates.campaigns.commands import stop
from gates.incidents import commands as incidents
from gates.models import Campaign, Incident, Review, RunEvent, Target
from tests.gates.cast import START, a_campaign, a_gate, a_ready_campaign, a_run
from tests.gates.incidents.cast import NEW, a_failed_campaign, an_incident, finding_ids, person, prove_both
from tests.gates.signoff.deciding import SIGNERS, a_decision, approved_plan

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def plain_static(settings):
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def as_(client):
    """Return a client that is signed in as somebody of this role."""

    def sign_in(role, name=None):
        client.force_login(person(role, name))
        return client

    return sign_in


def text(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, address
    return answer.content.decode()


def test_a_campaigns_page_shows_rail_criteria_and_everything_that_happened(as_):
    campaign = a_failed_campaign()
    run = campaign.runs.get()
    RunEvent.objects.create(run=run, at=START, kind="intervention", level="critical", sentence="Money moved by hand.")
    incidents.open_missing(START)
    page = text(as_("owner"), campaign.get_absolute_url())
    for words in (
        "Gate 1 failed: Event 118 is off.",
        "Money moved by hand.",
        "balance chain: Event 118 is off.",
        "Incident",
    ):
        assert words in page
    assert "No new production campaign of fx-desk starts before it is approved" in page
    twin = as_("owner").get(reverse("gates:campaign_json", args=[campaign.pk])).json()
    assert (twin["state"], twin["status"], twin["incident"]) == ("stopped", "failed", campaign.incident.pk)
    assert {"campaign", "gate 1 intervention", "gate 1 first finding", "incident"} <= {
        each["kind"] for each in twin["happened"]
    }


def test_what_people_decided_is_part_of_everything_that_happened(as_):
    decided = a_decision()
    address = decided.campaign.get_absolute_url()
    assert "Opens when gates 1 to 3 are signed off." in text(as_("owner"), address)
    before = pages.cursor(decided.campaign)
    for name in SIGNERS:
        decided.sign(name)
    approved_plan(decided)
    html = text(as_("owner"), address)
    assert "Signed off: opens with an approved capital plan." in html
    for words in (
        "ben accepts the code: I read every change",
        "dora approved as risk officer, about live capital",
        "A plan of 300.00 USD was proposed by ben.",
        "It was approved by dora",
    ):
        assert words in html
    assert pages.cursor(Campaign.objects.get(pk=decided.campaign.pk)) != before


@pytest.mark.parametrize("profile", ["rehearsal", "smoke"])
def test_what_cannot_be_signed_says_so_at_every_place(as_, profile):
    campaign = a_ready_campaign(profile=profile)
    assert f"A {campaign.trial}: it cannot be signed." in text(as_("owner"), campaign.get_absolute_url())
    incident = an_incident(profile=profile)
    assert f"A {campaign.trial}: it cannot be signed." in text(as_("owner"), incident.get_absolute_url())


def test_a_page_that_did_not_move_answers_nothing_and_one_that_did_its_live_part(as_):
    campaign = a_campaign(passed=(1,))
    client = as_("owner")
    live = reverse("gates:campaign_live", args=[campaign.pk])
    part = client.get(live).content.decode()
    since = part.split("?since=")[1].split('"')[0]
    assert client.get(f"{live}?since={since}").status_code == 204
    stop(campaign.pk, "Holes.", verdict="inconclusive", now=START)
    assert "<html" not in client.get(f"{live}?since={since}").content.decode()


def test_the_list_shows_campaigns_over_time_and_the_empty_one_says_what_will_appear(as_):
    assert "No campaign yet." in text(as_("owner"), "/campaigns/")
    first = a_campaign(passed=(1,))
    stop(first.pk, "Holes.", verdict="inconclusive", now=START)
    a_gate(a_campaign(previous=first, repeat_reason="The machine was moved."), 1)
    page = text(as_("owner"), "/campaigns/")
    assert "because: The machine was moved." in page
    assert "Start a campaign" not in page
    assert "Start a campaign" in text(as_("engineer"), "/campaigns/")
    assert len(as_("owner").get("/campaigns.json").json()["campaigns"]) == 2


def test_two_campaigns_are_compared_by_criteria_and_by_rules(as_):
    failed = a_failed_campaign()
    after = a_campaign(profile="rehearsal", passed=(1,))
    address = f"/campaigns/compare/?before={failed.pk}&after={after.pk}"
    page = text(as_("owner"), address)
    assert "balance chain" in page
    assert "gone" in page
    twin = as_("owner").get(address.replace("compare/", "compare.json")).json()
    assert twin["rules"] == [{"rule": "balance chain", "before": 1, "after": 0, "looked_for": True}]
    unproven = a_campaign(profile="rehearsal")
    assert "not looked for" in text(as_("owner"), f"/campaigns/compare/?before={failed.pk}&after={unproven.pk}")


@pytest.mark.parametrize("query", ["", "?before=1", "?before=x&after=y", "?before=999&after=998", "?before=-1&after=1"])
def test_a_comparison_of_what_is_not_there_is_not_found(as_, query):
    assert as_("owner").get(f"/campaigns/compare/{query}").status_code == 404


@pytest.mark.parametrize("address", ["/campaigns/", "/campaigns/1/", "/incidents/1/", "/campaigns/compare/"])
def test_a_stranger_is_sent_to_sign_in(client, address):
    assert client.get(address)["Location"].startswith(reverse("account_login"))


def test_a_campaign_is_started_as_a_whole_by_those_who_may(as_, monkeypatch):
    asked = []

    def start_campaign(target, **wanted):
        asked.append(wanted)
        return a_run()

    Target.objects.create(name="rehearsal", spec={}, created_at=START)
    monkeypatch.setattr(commands, "start_campaign", start_campaign)
    form = {"target": "rehearsal", "profile": "smoke", "because": "again"}
    assert as_("owner").post("/campaigns/start", form).status_code == 403
    assert as_("engineer").get("/campaigns/start").status_code == 405
    answer = as_("engineer").post("/campaigns/start", form)
    assert answer["Location"] == Campaign.objects.get().get_absolute_url()
    assert [(one["whole"], one["repeat_reason"], one["started_by"].username) for one in asked] == [
        (True, "again", "engineer")
    ]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, "There is no such target"),
        ({"target": "fx-desk", "profile": "ever"}, "There is no profile"),
        ({"target": "fx-desk", "profile": "smoke"}, "lacks ["),
    ],
)
def test_a_campaign_that_cannot_start_is_refused_in_one_sentence(as_, form, words):
    Target.objects.create(name="fx-desk", spec={}, created_at=START)
    assert words in as_("engineer").post("/campaigns/start", form, follow=True).content.decode()
    assert not Campaign.objects.exists()


STEPS = {
    "investigate": {"cause": "A race."},
    "fix": {"fix": "A lock."},
    "prove": {"test": "t"},
    "accept": {},
    "approve": {"approval": "I saw it."},
    "send-back": {},
}
RIGHT = {"investigate": "investigate", "fix": "fix", "prevention test": "prove", "approval": "approve"}


@pytest.mark.parametrize("at", ["investigate", "fix", "prevention test", "approval", "approved"])
def test_a_step_out_of_its_turn_is_refused_by_its_address_and_nothing_changes(as_, monkeypatch, at):
    monkeypatch.setattr(incidents, "build_now", lambda campaign: NEW)
    incident = an_incident(at)
    for name, form in STEPS.items():
        if name == RIGHT.get(at) or (name, at) in {("accept", "prevention test"), ("send-back", "prevention test")}:
            continue
        if (name, at) == ("send-back", "approval"):
            continue
        role = "owner" if name in {"approve", "send-back"} else "engineer"
        answer = as_(role).post(f"/incidents/{incident.pk}/{name}", form, follow=True)
        assert "the step is taken, or not in its turn" in answer.content.decode(), name
    incident.refresh_from_db()
    assert incident.state == at


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("owner", ["investigate", "fix", "prove", "accept"]),
        ("risk officer", ["investigate", "fix", "prove", "accept"]),
        ("engineer", ["approve", "send-back"]),
        ("auditor", ["approve", "send-back"]),
    ],
)
def test_a_step_without_the_right_to_it_is_forbidden(as_, role, names):
    incident = an_incident("approval")
    for name in names:
        client = as_(role)
        assert client.post(f"/incidents/{incident.pk}/{name}", STEPS[name]).status_code == 403
        assert client.get(f"/incidents/{incident.pk}/{name}").status_code == 405
    incident.refresh_from_db()
    assert incident.state == "approval"


def test_three_people_take_an_incident_through_its_pages(as_, monkeypatch):
    monkeypatch.setattr(incidents, "build_now", lambda campaign: NEW)
    incident = an_incident()
    address = incident.get_absolute_url()
    form = {"cause": "A race.", "finding": [str(pk) for pk in finding_ids(incident)]}
    as_("auditor").post(f"{address}investigate", form)
    as_("engineer").post(f"{address}fix", {"fix": "A lock."})
    refused = as_("engineer").post(f"{address}prove", {"test": "../../x"}, follow=True)
    assert "Name the test" in refused.content.decode()
    prove_both(incident)
    as_("engineer").post(f"{address}accept")
    done = as_("owner").post(f"{address}approve", {"approval": "I saw the test fail and pass."}, follow=True)
    assert "It may start again, at gate 1" in done.content.decode()
    incident.refresh_from_db()
    people = (incident.investigated_by, incident.fixed_by, incident.tested_by, incident.approved_by)
    assert [each.username for each in people] == ["auditor", "engineer", "engineer", "owner"]
    assert as_("owner").get(f"/incidents/{incident.pk}.json").json()["fix"]["build"] == NEW


@pytest.mark.parametrize("model", ["campaign", "incident", "proof", "review", "runevent", "incidentfinding"])
def test_nobody_changes_any_of_it_in_the_admin(client, model):
    incident = an_incident("approved")
    run = a_run()
    Review.objects.create(run=run, number=1, opens_at=START, due_at=START + timedelta(hours=1))
    RunEvent.objects.create(run=run, at=START, kind="intervention", sentence="x")
    client.force_login(User.objects.create_superuser("root"))
    row = {
        "campaign": run.campaign,
        "incident": incident,
        "proof": incident.proofs.first(),
        "review": run.reviews.first(),
    }
    pk = getattr(row.get(model), "pk", 1)
    before = Incident.objects.values_list("state", flat=True)[0]
    for action in ("add/", f"{pk}/delete/", f"{pk}/change/"):
        answer = client.post(f"/admin/gates/{model}/{action}", {"state": "restarted", "post": "yes"})
        assert answer.status_code in {403, 404, 302}, action
    assert Incident.objects.values_list("state", flat=True)[0] == before
    assert Campaign.objects.filter(pk=run.campaign_id).exists()


def test_a_review_is_written_on_the_runs_page_and_a_missed_one_shows(as_):
    now = timezone.now()
    run = a_run(start=now.replace(microsecond=0) - timedelta(seconds=5))
    review = Review.objects.create(
        run=run, number=1, opens_at=now - timedelta(seconds=9), due_at=now + timedelta(hours=1)
    )
    Review.objects.create(run=run, number=2, opens_at=now - timedelta(hours=3), due_at=now - timedelta(hours=1))
    client = as_("risk officer")
    page = text(client, run.get_absolute_url())
    assert f"/reviews/{review.pk}/write" in page
    assert "missed" in page
    client.post(f"/reviews/{review.pk}/write", {"words": "all quiet"})
    assert "all quiet" in text(client, run.get_absolute_url())
    again = client.post(f"/reviews/{review.pk}/write", {"words": "again"}, follow=True)
    assert "before you: nothing was changed" in again.content.decode()
    nobody = User.objects.create_user("visitor")
    client.force_login(nobody)
    assert client.post(f"/reviews/{review.pk}/write", {"words": "x"}).status_code == 403
    assert client.get(f"/campaigns/{run.campaign_id}.json").json()["reviews"] == {
        "planned": 2,
        "written": 1,
        "missed": 1,
    }
