"""A capital plan: proposed by one, decided by another who says again who they are, and fixed by the database."""

import time
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone

from gates import roles
from gates.live_capital.commands import rehearsal_plan
from gates.models import CapitalPlan
from tests.gates.cast import a_campaign, a_ready_campaign

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _groups(settings):
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    roles.make_groups()


@pytest.fixture
def campaign():
    return a_ready_campaign()


def person(name, *of):
    found = User.objects.create_user(name)
    found.groups.set(Group.objects.filter(name__in=of))
    return found


def browser(of, *, proven=True):
    client = Client()
    client.force_login(of)
    if proven:
        session = client.session
        session["account_authentication_methods_user"] = str(of.pk)
        session["account_authentication_methods"] = [{"method": "password", "at": time.time(), "reauthenticated": True}]
        session.save()
    return client


def terms(**change):
    good = {"amount": "500", "instruments": "EUR_USD", "order_size": "1000", "orders_per_minute": "10"}
    ends = timezone.now().date() + timedelta(days=60)
    return good | {"daily_loss": "25", "total_loss": "100", "ends_on": ends.isoformat()} | change


def proposed(campaign, by):
    browser(by).post(f"/campaigns/{campaign.pk}/capital/", terms())
    return CapitalPlan.objects.get()


def decide(plan, by, decision="approved", *, proven=True, **given):
    return browser(by, proven=proven).post(f"/capital/{plan.pk}/decide", {"decision": decision} | given)


def test_one_person_proposes_and_another_approves(campaign):
    ada, rita = person("ada", "engineer"), person("rita", "risk officer")
    plan = proposed(campaign, ada)
    assert decide(plan, rita, words="looked at the limits").status_code == 302
    plan.refresh_from_db()
    assert (plan.state, plan.proposed_by, plan.decided_by) == ("approved", ada, rita)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"daily_loss": "-25"}, "give a number above zero"),
        ({"total_loss": ""}, "lacks the total loss"),
        ({"amount": "501"}, "up to 500"),
        ({"ends_on": "2020-01-01"}, "from today on"),
    ],
)
def test_a_negative_or_missing_limit_is_refused_in_one_sentence_and_the_words_stay(campaign, change, words):
    page = browser(person("ada", "engineer")).post(f"/campaigns/{campaign.pk}/capital/", terms(**change))
    assert page.status_code == 409
    assert words in page.content.decode()
    assert 'value="EUR_USD"' in page.content.decode()
    assert not CapitalPlan.objects.exists()


def test_who_may_not_propose_or_decide_cannot(campaign):
    ada, auditor = person("ada", "engineer"), person("aud", "auditor")
    assert browser(auditor).post(f"/campaigns/{campaign.pk}/capital/", terms()).status_code == 403
    plan = proposed(campaign, ada)
    assert decide(plan, auditor).status_code == 403
    assert decide(plan, person("eve", "engineer")).status_code == 403
    assert CapitalPlan.objects.get().state == "proposed"


def test_nobody_approves_their_own_plan_with_whatever_right(campaign):
    boss = User.objects.create_superuser("boss")
    plan = proposed(campaign, boss)
    page = decide(plan, boss)
    assert page.status_code == 409
    assert "another person approves or refuses it" in page.content.decode()
    assert decide(plan, boss, "withdrawn").status_code == 302


def test_a_decision_asks_once_more_who_it_is(campaign):
    plan = proposed(campaign, person("ada", "engineer"))
    page = decide(plan, person("rita", "risk officer"), proven=False)
    assert page.status_code == 409
    assert "Say again who you are: password" in page.content.decode()
    assert CapitalPlan.objects.get().state == "proposed"


def test_a_refusal_needs_a_reason_and_a_decision_stays(campaign):
    plan = proposed(campaign, person("ada", "engineer"))
    rita, olga = person("rita", "risk officer"), person("olga", "owner")
    assert "Say why" in decide(plan, rita, "refused").content.decode()
    assert decide(plan, rita, "refused", words="too fast").status_code == 302
    assert "is refused already" in decide(plan, olga).content.decode()


def test_a_second_plan_waits_for_the_first(campaign):
    ada = person("ada", "engineer")
    proposed(campaign, ada)
    page = browser(ada).post(f"/campaigns/{campaign.pk}/capital/", terms())
    assert "waits for its decision" in page.content.decode()
    assert CapitalPlan.objects.count() == 1


def test_every_role_sees_a_plan_and_its_twin_and_nobody_without_a_login(campaign):
    plan = proposed(campaign, person("ada", "engineer"))
    auditor = browser(person("aud", "auditor"))
    assert auditor.get(f"/capital/{plan.pk}/").status_code == 200
    assert auditor.get(f"/capital/{plan.pk}.json").json()["amount"] == "500.00"
    assert auditor.get("/live/").status_code == 200
    assert auditor.get("/live.json").json()["plans"][0]["plan"] == plan.pk
    assert Client().get(f"/capital/{plan.pk}/").status_code == 302


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE gates_capitalplan SET amount = 400",
        "UPDATE gates_capitalplan SET daily_loss = 99",
        "UPDATE gates_capitalplan SET proposed_by_id = NULL",
        "DELETE FROM gates_capitalplan",
        "UPDATE gates_capitalplan SET state = 'approved'",
        "UPDATE gates_capitalplan SET state = 'approved', decided_at = now(), decided_by_id = proposed_by_id",
    ],
)
def test_the_database_refuses_what_python_would_not_be_asked(campaign, statement):
    proposed(campaign, person("ada", "engineer"))
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_an_approved_plan_is_final_in_the_database(campaign):
    plan = proposed(campaign, person("ada", "engineer"))
    decide(plan, person("rita", "risk officer"))
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE gates_capitalplan SET state = 'refused'")


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 99},
        {"amount": 501},
        {"daily_loss": -1},
        {"daily_loss": 200},
        {"total_loss": 501},
        {"order_size": 0},
        {"orders_per_minute": 0},
        {"instruments": []},
    ],
)
def test_no_row_without_a_limit_can_be_written_past_the_form(wrong):
    plan = rehearsal_plan(a_campaign(), timezone.now())
    values = {field.name: getattr(plan, field.name) for field in plan._meta.concrete_fields if field.name != "id"}
    with pytest.raises(DatabaseError), transaction.atomic():
        CapitalPlan.objects.create(**values | {"campaign": a_campaign(name="other")} | wrong)


def test_a_production_campaign_never_has_the_plan_of_a_rehearsal(campaign):
    with pytest.raises(DatabaseError, match="a production campaign needs a plan of people"), transaction.atomic():
        rehearsal_plan(campaign, timezone.now())


def test_gate_4_does_not_open_before_the_campaign_is_approved(campaign):
    ada = person("ada", "engineer")
    plan = proposed(campaign, ada)
    decide(plan, person("rita", "risk officer"))
    page = browser(ada).post(f"/capital/{plan.pk}/open")
    assert page.status_code == 409
    assert "The campaign is ready: it has to be approved." in page.content.decode()
