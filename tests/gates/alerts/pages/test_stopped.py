"""The strip of every page: it names whichever part of the portal has stopped, and what is not done meanwhile."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from gates import engine, pulses
from gates.models import Beat

pytestmark = pytest.mark.django_db
AGO = timedelta(minutes=2)
SAYS = {
    "beat": "nothing is judged",
    "tick": "nothing is judged",
    "worker": "no slot is checked",
    "streams": "no broker is heard",
    "delivery": "wait in the outbox",
}


@pytest.fixture
def reader(client: Client, settings: Any, valkey_server: Any) -> Client:
    """Somebody who is signed in to a portal whose parts all show their pulse."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    secret = type(settings.ENVIRONMENT.redis_url)
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"redis_url": secret(valkey_server.url())})
    for kind in pulses.BEATING:
        engine.beat(kind, datetime.now(UTC) + timedelta(hours=1))
    client.force_login(User.objects.create_user("auditor"))
    return client


def strip(reader: Client) -> str:
    """What stands in the strip of a page that has nothing to do with the parts."""
    page = reader.get(reverse("gates:targets")).content.decode()
    return page[page.index('<div id="stopped"') :].partition("</div>")[0]


def told(reader: Client) -> list[str]:
    return reader.get(reverse("gates:alerts_now")).json()["stopped"]


def test_there_is_a_sentence_for_each_part() -> None:
    assert set(SAYS) == set(pulses.BEATING)


def test_while_all_show_their_pulse_it_is_hidden(reader: Client) -> None:
    assert strip(reader).endswith(" hidden>")
    assert told(reader) == []


@pytest.mark.parametrize("kind", SAYS)
def test_the_part_that_stands_still_is_named_with_what_is_not_done_and_since_when(reader: Client, kind: str) -> None:
    Beat.objects.filter(kind=kind).update(last_at=(stood := datetime.now(UTC) - AGO))
    (said,) = told(reader)
    part = next(part for part in pulses.TABLE if part.kind == kind)
    assert said.lower().startswith(part.name.lower())
    assert f"no pulse since {stood:%Y-%m-%d %H:%M:%S} UTC" in said
    assert SAYS[kind] in said
    assert f"See {part.log}." in said
    assert f">{said}</p>" in strip(reader)
    assert " hidden" not in strip(reader)


def test_a_page_that_is_open_is_told_once(reader: Client) -> None:
    mark = reader.get(reverse("gates:alerts_now")).json()["mark"]
    assert reader.get(reverse("gates:alerts_now"), {"since": mark}).status_code == 204
    Beat.objects.filter(kind="streams").update(last_at=datetime.now(UTC) - AGO)
    again = reader.get(reverse("gates:alerts_now"), {"since": mark}).json()
    assert len(again["stopped"]) == 1
    assert reader.get(reverse("gates:alerts_now"), {"since": again["mark"]}).status_code == 204


def test_without_valkey_it_is_named_and_not_those_who_stand_on_it(reader: Client, settings: Any) -> None:
    Beat.objects.filter(kind__in=("beat", "tick", "worker")).update(last_at=datetime.now(UTC) - AGO)
    assert [said.partition(",")[0] for said in told(reader)] == ["Beat"]
    secret = type(settings.ENVIRONMENT.redis_url)
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"redis_url": secret("redis://127.0.0.1:1/0")})
    (said,) = told(reader)
    assert said.startswith("Valkey does not answer: nothing is judged")
