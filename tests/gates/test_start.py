"""Starting gate 1 in the browser: by those who may, by POST, and refused in one sentence."""

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from gates import commands, roles
from gates.models import Run, Target
from tests.gates.cast import START, a_run

pytestmark = pytest.mark.django_db
ADDRESS = "/runs/start"


@pytest.fixture(autouse=True)
def plain_static(settings):
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def target():
    return Target.objects.create(name="rehearsal", spec={}, created_at=START)


@pytest.fixture
def started(monkeypatch):
    """Stand in for a target that answers: a run is cut as asked. Returns what was asked for."""
    asked = []

    def start_campaign(target, **wanted):
        asked.append((target.name, wanted["profile"], wanted["started_by"].username))
        return a_run()

    monkeypatch.setattr(commands, "start_campaign", start_campaign)
    return asked


def member(client, role):
    roles.make_groups()
    someone = User.objects.create_user(role)
    someone.groups.add(Group.objects.get(name=role))
    client.force_login(someone)
    return client


def test_an_engineer_starts_a_rehearsal_from_the_empty_dashboard_and_sees_its_run(client, target, started):
    page = member(client, "engineer").get("/").content.decode()
    assert "Start a rehearsal" in page
    answer = client.post(ADDRESS, {"target": "rehearsal", "profile": "rehearsal"})
    assert started == [("rehearsal", "rehearsal", "engineer")]
    assert answer["Location"] == Run.objects.get().get_absolute_url()


@pytest.mark.parametrize("role", ["auditor", "risk officer", "owner"])
def test_who_may_not_start_is_offered_nothing_and_refused(client, target, started, role):
    for page in ("/", "/runs/"):
        assert ADDRESS not in member_once(client, role).get(page).content.decode()
    answer = client.post(ADDRESS, {"target": "rehearsal", "profile": "rehearsal"})
    assert answer.status_code == 403
    assert "permission that you do not have" in answer.content.decode()
    assert started == []


def member_once(client, role):
    return client if User.objects.filter(username=role).exists() else member(client, role)


def test_a_stranger_is_sent_to_sign_in(client, target, started):
    answer = client.post(ADDRESS, {"target": "rehearsal", "profile": "rehearsal"})
    assert answer["Location"].startswith(reverse("account_login"))
    assert started == []


def test_nothing_starts_by_following_a_link_or_from_another_site(target, started):
    client = member(Client(enforce_csrf_checks=True), "engineer")
    assert client.get(ADDRESS).status_code == 405
    answer = client.post(ADDRESS, {"target": "rehearsal", "profile": "rehearsal"})
    assert answer.status_code == 403
    assert "Nothing was changed" in answer.content.decode()
    assert started == []


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "There is no such target"),
        ({"target": "nobody", "profile": "smoke"}, "There is no such target"),
        ({"target": "rehearsal", "profile": "forever"}, "There is no profile &#x27;forever&#x27;"),
        ({"target": "rehearsal", "profile": "smoke"}, "lacks [ledger] url"),
    ],
)
def test_what_cannot_start_is_said_in_one_sentence_and_leaves_nothing(client, target, asked, words):
    answer = member(client, "engineer").post(ADDRESS, asked, follow=True)
    assert words in answer.content.decode()
    assert not Run.objects.exists()


def test_pages_that_are_not_there_say_so(client):
    answer = member(client, "owner").get("/no/such/page")
    assert answer.status_code == 404
    assert "no such page" in answer.content.decode()


def test_a_broken_page_is_a_page_all_the_same(client, monkeypatch):
    def broken(*args):
        raise RuntimeError("broken")

    monkeypatch.setattr("gates.views._dashboard", broken)
    member(client, "owner").raise_request_exception = False
    answer = client.get("/")
    assert answer.status_code == 500
    assert "Runs go on" in answer.content.decode()
