"""Whether anybody would hear of a critical alert: said plainly, with the exact next step."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from gates.alerts.delivery.reaching import ADD, DRILL, reach
from gates.models import Route
from tests.gates.alerts.delivery.cast import a_route
from tests.gates.alerts.pages.staged import person
from tests.gates.cast import START, a_run

pytestmark = pytest.mark.django_db


def test_without_a_route_the_words_name_the_command():
    assert (reach().met, reach().words) == (
        False,
        f"there is no route in use, so that they reach only who looks at the pages: {ADD}",
    )
    a_route("chat", levels=("high", "medium"))
    a_route("old", active=False)
    assert (reach().met, reach().words.partition(",")[0]) == (False, "no route in use takes them")


def test_a_route_that_takes_them_is_named_and_not_proven_before_it_delivered():
    route = a_route("mail", levels=("critical",))
    assert reach().met
    assert reach().words.endswith(DRILL)
    Route.objects.filter(pk=route.pk).update(last_delivered_at=START)
    assert reach().words == "taken by mail"


@pytest.mark.parametrize("ill", [{"trouble": "BENCH is not set."}, {"failures": 3, "last_error": "BENCH is not set."}])
def test_a_route_that_cannot_be_used_is_none(ill):
    route = a_route("mail")
    Route.objects.filter(pk=route.pk).update(**ill)
    assert (reach().met, reach().words) == (False, "mail would take them and does not: BENCH is not set.")
    a_route("chat")
    assert reach().met


def test_who_starts_a_campaign_is_told_and_nobody_else(client: Client, settings):
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    a_run()
    client.force_login(person("emma", "engineer"))
    assert b"would reach nobody who is away" in client.get(reverse("gates:campaigns")).content
    a_route("mail")
    assert b"would reach nobody" not in client.get(reverse("gates:campaigns")).content
    Route.objects.update(active=False)
    client.force_login(User.objects.create_user("stranger"))
    assert b"would reach nobody" not in client.get(reverse("gates:campaigns")).content
