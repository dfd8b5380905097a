"""The sign-off page: what is asked, what it rests on, what stands against it; its forms, and who may not."""

import time
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from gates.campaigns.commands import stop
from gates.evidence.standing import evidence_sha256
from gates.models import Alert, Campaign, CodeReview, Finding, Review, RunEvent, SignOff
from gates.signoff import commands
from gates.signoff.page import summary
from tests.gates.cast import a_campaign, a_gate
from tests.gates.incidents.cast import an_incident
from tests.gates.signoff.deciding import BUILD, NOW, SIGNERS, STARTED, TEAM, WORDS, a_decision, live_and_ended

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def plain(settings):
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


@pytest.fixture
def decided():
    return a_decision()


def sit_down(client, decided, name, *, proven=True):
    """Sign in as this person; `proven` lets them just have given their password again."""
    person = decided.people[name]
    client.force_login(person)
    if proven:
        session = client.session
        session["account_authentication_methods_user"] = str(person.pk)
        session["account_authentication_methods"] = [{"method": "password", "at": time.time(), "reauthenticated": True}]
        session.save()
    return client


def page(client, decided):
    return client.get(reverse("gates:sign_off", args=[decided.campaign.pk])).content.decode()


def form(decided, name, decision="approve", **changed):
    return {
        "role": TEAM[name],
        "decision": decision,
        "statement": WORDS,
        "phrase": f"I approve campaign {decided.campaign.pk}",
        "stage": "capital",
        "build": BUILD,
        "evidence_sha256": evidence_sha256(decided.campaign),
    } | changed


def send(client, decided, given):
    return client.post(reverse("gates:sign", args=[decided.campaign.pk]), given)


def test_the_page_says_what_is_asked_and_what_it_rests_on(client, decided):
    words = page(sit_down(client, decided, "dora"), decided)
    for part in (
        "May this build of fx-desk trade with $100 to $500 of real money for 30 days?",
        "Everything that must be shown is shown; nobody has signed yet.",
        BUILD,
        evidence_sha256(decided.campaign),
        "214 of 214 executed, slowest in 312 ms",
        "Opens after this decision.",
        "The check equity",
        "These books keep no equity.",
        "No gate found anything.",
        "None: nobody touched the target while it was judged.",
        "I read every change since the last build.",
        f"I approve campaign {decided.campaign.pk}",
    ):
        assert part in words, part
    assert 'value="approve">Approve' in words


def test_a_button_that_does_nothing_says_why(client, decided):
    words = page(sit_down(client, decided, "dora", proven=False), decided)
    assert 'value="approve" disabled aria-describedby="why-not-approve"' in words
    assert 'value="refuse" class="secondary" disabled aria-describedby="why-not-refuse"' in words
    assert "Say again who you are: password." in words
    Finding.objects.create(
        run=decided.campaign.runs.first(), rule="slow query", level="medium", sentence="2 s.", found_at=NOW
    )
    words = page(sit_down(client, decided, "dora"), decided)
    assert 'value="approve" disabled' in words
    assert "1 finding is still to investigate" in words
    assert 'value="refuse" class="secondary">Refuse' in words


@pytest.mark.parametrize(
    ("name", "words"),
    [("anna", "You started this campaign."), ("carla", "Your roles sign nothing; these do: engineer")],
)
def test_who_may_not_sign_reads_why(client, decided, name, words):
    assert words in page(sit_down(client, decided, name), decided)


def test_a_signature_in_the_browser_is_kept_and_shown(client, decided):
    answer = send(sit_down(client, decided, "dora"), decided, form(decided, "dora"))
    assert answer.status_code == 302
    made = SignOff.objects.get()
    assert (made.person, made.role, made.decision, made.statement) == (
        decided.people["dora"],
        "risk officer",
        "approve",
        WORDS,
    )
    assert made.authenticated_by[0]["method"] == "password"
    words = page(client, decided)
    assert "1 of 3 have signed" in words
    assert "Withdraw my decision" in words


@pytest.mark.parametrize(
    ("name", "changed", "sentence"),
    [
        ("dora", {"evidence_sha256": "0" * 64}, "The evidence changed while you read"),
        ("dora", {"build": "sha256:other"}, "Your page showed the build sha256:other"),
        ("dora", {"phrase": "yes"}, "Type the words"),
        ("dora", {"statement": "ok"}, "Say why in your own words"),
        ("dora", {"role": "owner"}, "You cannot sign as owner"),
        ("dora", {"stage": "next step"}, "The next step waits"),
        ("dora", {"stage": "never"}, "no third decision"),
        ("dora", {"decision": ""}, "no third decision"),
        ("anna", {}, "You started this campaign"),
    ],
)
def test_what_is_refused_keeps_the_persons_words_and_nothing_else(client, decided, name, changed, sentence):
    given = form(decided, name) | {"statement": "My own careful words."} | changed
    answer = send(sit_down(client, decided, name), decided, given)
    assert answer.status_code == 409
    words = answer.content.decode()
    assert sentence in words
    assert f">{given['statement']}</textarea>" in words
    assert not SignOff.objects.exists()


def test_without_the_right_nothing_is_signed(client, decided):
    answer = send(sit_down(client, decided, "carla"), decided, form(decided, "carla"))
    assert answer.status_code == 403
    client.logout()
    assert send(client, decided, form(decided, "dora")).status_code == 302
    assert client.get(reverse("gates:sign", args=[decided.campaign.pk])).status_code in (302, 405)
    assert not SignOff.objects.exists()


def test_an_old_password_signs_nothing_but_the_words_stay(client, decided):
    answer = send(sit_down(client, decided, "dora", proven=False), decided, form(decided, "dora"))
    assert answer.status_code == 409
    assert "Say again who you are first: your password." in answer.content.decode()
    assert f">{WORDS}</textarea>" in answer.content.decode()


def test_a_refusal_is_shown_as_the_answer(client, decided):
    given = form(decided, "dora", "refuse", phrase="", statement="The stops were slow on Tuesday.")
    send(sit_down(client, decided, "dora"), decided, given)
    assert "dora refused as risk officer: The stops were slow on Tuesday." in page(client, decided)


def test_a_decision_is_withdrawn_on_the_page_by_a_second_row(client, decided):
    made = decided.sign("dora")
    address = reverse("gates:withdraw", args=[decided.campaign.pk])
    sit_down(client, decided, "dora")
    answer = client.post(address, {"decision": made.pk, "statement": "no"})
    assert (answer.status_code, "Say why" in answer.content.decode()) == (409, True)
    for wrong in ("", "x", "999999", "9" * 30):
        assert client.post(address, {"decision": wrong, "statement": "It was a mistake."}).status_code == 409
    assert client.post(address, {"decision": made.pk, "statement": "It was a mistake."}).status_code == 302
    words = page(client, decided)
    assert "withdrawn" in words
    assert "It was a mistake." in words
    assert SignOff.objects.count() == 2


def test_a_code_review_is_recorded_on_the_page(client):
    decided = a_decision(reviewed=False)
    address = reverse("gates:review_code", args=[decided.campaign.pk])
    given = {"build": BUILD, "review": "I read the whole diff.", "reference": "review 7", "outcome": "accepted"}
    assert client.post(address, given).status_code == 302
    for name, status in (("dora", 403), ("anna", 409), ("carla", 302)):
        assert sit_down(client, decided, name).post(address, given).status_code == status
    assert client.post(address, given | {"outcome": ""}).status_code == 409
    assert CodeReview.objects.get().reviewer == decided.people["carla"]
    assert "I read the whole diff." in page(client, decided)


def test_a_rehearsal_says_at_the_top_that_it_cannot_be_signed(client, decided):
    other = Campaign.objects.create(target=decided.campaign.target, profile="rehearsal", build=BUILD, started_at=NOW)
    decided.campaign = other
    words = page(sit_down(client, decided, "dora"), decided)
    assert "cannot be signed" in words
    assert 'value="approve" disabled' in words
    assert 'value="refuse" class="secondary" disabled' in words


def test_what_is_void_is_shown_as_void_with_the_reason(client, decided):
    decided.sign("dora")
    stop(decided.campaign.pk, "The target's build changed.", verdict="failed", now=NOW)
    words = page(sit_down(client, decided, "dora"), decided)
    assert "void" in words
    assert "The campaign was stopped: The target&#x27;s build changed." in words


def test_what_differs_from_the_last_signed_campaign_is_shown(client, decided):
    for name in SIGNERS:
        decided.sign(name)
    stop(decided.campaign.pk, "Its build changed.", verdict="inconclusive", now=NOW)
    later = a_decision(people=decided.people, start=NOW + timedelta(days=1), build="sha256:newer")
    words = page(sit_down(client, later, "dora"), later)
    assert f"Compared with campaign {decided.campaign.pk}" in words
    assert BUILD in words
    assert "Its build changed." in words


def test_hands_and_alerts_and_findings_are_shown(client, decided):
    run = decided.campaign.runs.get(gate=1)
    RunEvent.objects.create(run=run, at=NOW, kind="intervention", level="critical", sentence="The desk was restarted.")
    Finding.objects.create(
        run=run,
        rule="slow query",
        level="medium",
        sentence="A query took 2 s.",
        found_at=NOW,
        state="explained",
        cause="A backup.",
    )
    now = timezone.now()
    Alert.objects.create(
        target=decided.campaign.target,
        rule="system crash",
        level="critical",
        sentence="The desk is gone.",
        event_at=now,
        raised_at=now,
        last_at=now,
        deadline_at=now,
    )
    words = page(sit_down(client, decided, "dora"), decided)
    for part in (
        "The desk was restarted.",
        "A query took 2 s.",
        "A backup.",
        "The desk is gone.",
        "critical alert is not",
    ):
        assert part in words


def test_the_reviews_that_people_owed_the_run_are_counted(client, decided):
    run = decided.campaign.runs.get(gate=1)
    for number in range(3):
        opens = run.planned_start + timedelta(hours=4 * number)
        done = {"person": decided.people["carla"], "words": "All quiet.", "done_at": opens} if number else {}
        Review.objects.create(run=run, number=number, opens_at=opens, due_at=opens + timedelta(hours=1), **done)
    opens = timezone.now()
    Review.objects.create(run=run, number=9, opens_at=opens, due_at=opens + timedelta(hours=1))
    words = page(sit_down(client, decided, "dora"), decided)
    assert "1 of 3 reviews that people owed the run were missed." in words
    assert "All quiet." in words


def test_the_second_sign_off_asks_for_the_next_step(client, decided):
    for name in SIGNERS:
        decided.sign(name)
    live_and_ended(decided)
    words = page(sit_down(client, decided, "emil"), decided)
    assert "May this build of fx-desk trade with up to $2,500?" in words
    phrase = f"I approve the next step of campaign {decided.campaign.pk}"
    given = form(decided, "emil", phrase=phrase, stage="next step")
    given["evidence_sha256"] = evidence_sha256(decided.campaign, stage="next step")
    assert send(client, decided, given).status_code == 302
    for name in ("ben", "dora"):
        decided.sign(name, stage="next step")
    assert "up to $2,500, for this build alone, until" in page(client, decided)


def test_the_twin_has_the_same_facts(client, decided):
    decided.sign("dora")
    answer = sit_down(client, decided, "carla").get(reverse("gates:sign_off_json", args=[decided.campaign.pk])).json()
    assert (answer["stage"], answer["build"], answer["state"]) == ("capital", BUILD, "ready")
    assert answer["evidence_sha256"] == evidence_sha256(decided.campaign)
    assert [one["decision"] and one["decision"]["person"] for one in answer["signatures"]] == [None, "dora", None]
    assert [gate["status"] for gate in answer["gates"]] == ["passed", "passed", "passed", "waiting"]
    assert answer["ladder"][0] == {
        "step": 1,
        "amount": "500",
        "condition": "gates 1 to 3 passed, the first sign-off, an approved capital plan",
        "asked": True,
    }
    assert answer["obstacles"] == []


def test_a_campaign_that_is_not_there_is_not_there(client, decided):
    sit_down(client, decided, "dora")
    assert client.get(reverse("gates:sign_off", args=[999_999])).status_code == 404
    assert client.post(reverse("gates:sign", args=[999_999]), {}).status_code == 404


def test_the_summary_for_the_campaigns_page_says_how_it_stands(decided):
    assert summary(decided.campaign)["decision"].word == "to decide"
    for name in SIGNERS:
        commands.sign(decided.asked(name), NOW)
    decided.campaign.refresh_from_db()
    assert summary(decided.campaign)["decision"].word == "approved"


def test_a_campaign_of_another_name_on_the_same_account_is_shown_too(client, decided):
    failed = an_incident("approved", name="old-desk", baseline={"account": "one"}).campaign
    shape = {
        "profile": "production",
        "name": "new-desk",
        "build": "sha256:1",
        "started_at": STARTED + timedelta(days=1),
    }
    renamed = a_campaign(**shape)
    a_gate(renamed, 1, baseline={"account": "one"})
    client.force_login(decided.people["dora"])
    words = client.get(reverse("gates:sign_off", args=[renamed.pk])).content.decode()
    assert f"Campaign {failed.pk}</a> of old-desk, on the same account of the broker" in words
    twin = client.get(reverse("gates:sign_off_json", args=[renamed.pk])).json()
    assert [(row["campaign"], row["target"]) for row in twin["earlier"]] == [(failed.pk, "old-desk")]


def test_the_incident_of_an_earlier_campaign_is_shown_and_who_fixed_it_reviews_no_code(client):
    incident = an_incident("approved")
    fixer = incident.fixed_by
    decided = a_decision(start=STARTED + timedelta(days=1), build=incident.fixed_build, previous=incident.campaign)
    decided.campaign.target.refresh_from_db()
    words = page(sit_down(client, decided, "dora"), decided)
    for part in (
        "Incident</a>, approved: may start again",
        "Cause: A race.",
        "Fix: A lock.",
        "Gate 1 failed: Event 118",
    ):
        assert part in words, part
    twin = client.get(reverse("gates:sign_off_json", args=[decided.campaign.pk])).json()
    assert twin["earlier"][0]["incident"]["fix"] == "A lock."
    reviewed = commands.Reviewed(decided.campaign.pk, incident.fixed_build, True, WORDS, "")
    with pytest.raises(commands.SignOffRefusedError, match="You fixed what this build changes"):
        commands.record_review(reviewed, reviewer=fixer, now=NOW)
