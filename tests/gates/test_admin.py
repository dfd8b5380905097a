"""The admin: a stranger signs in first, staff see what they may see, and nobody changes evidence."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.urls import reverse

from gates import roles
from gates.models import Slot
from tests.gates.cast import a_run

pytestmark = pytest.mark.django_db

EVIDENCE = sorted(
    model._meta.model_name for model in apps.get_app_config("gates").get_models() if model._meta.app_label == "gates"
)
TRIAGED = {"finding", "findingchange"}  # what people make of a finding may be edited: it has tests of its own


@pytest.fixture(autouse=True)
def plain_static(settings):
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


def signed_in(client, **flags):
    client.force_login(User.objects.create_user("someone", **flags))
    return client


def test_a_stranger_is_sent_to_the_one_sign_in_page(client):
    for address in (reverse("admin:index"), reverse("admin:gates_run_changelist")):
        answer = client.get(address, follow=True)
        assert answer.redirect_chain[-1][0].startswith(reverse("account_login"))


def test_who_is_not_staff_is_turned_away(client):
    answer = signed_in(client).get(reverse("admin:index"), follow=True)
    assert answer.status_code == 403


def test_staff_without_rights_see_no_rows(client):
    signed_in(client, is_staff=True)
    assert client.get(reverse("admin:index")).status_code == 200
    assert client.get(reverse("admin:gates_run_changelist")).status_code == 403


@pytest.mark.parametrize("role", [role.name for role in roles.ROLES])
def test_staff_of_each_role_see_rows_and_no_user(client, role):
    roles.make_groups()
    someone = User.objects.create_user("someone", is_staff=True)
    someone.groups.add(Group.objects.get(name=role))
    client.force_login(someone)
    assert client.get(reverse("admin:gates_run_changelist")).status_code == 200
    assert client.get(reverse("admin:auth_user_changelist")).status_code == 403


def test_every_model_of_ours_can_be_looked_at():
    missing = [name for name in EVIDENCE if name not in TRIAGED and not admin.site.is_registered(model(name))]
    assert not missing
    assert {"run", "slot", "slotresult", "report"} <= set(EVIDENCE)


@pytest.mark.parametrize("name", [name for name in EVIDENCE if name not in TRIAGED])
def test_even_a_superuser_can_only_look_at_evidence(client, name):
    signed_in(client, is_staff=True, is_superuser=True)
    a_run()
    assert client.get(reverse(f"admin:gates_{name}_changelist")).status_code == 200
    assert client.get(reverse(f"admin:gates_{name}_add")).status_code == 403
    row = model(name).objects.first()
    if row is not None:
        assert client.get(reverse(f"admin:gates_{name}_change", args=[row.pk])).status_code == 200
        assert client.post(reverse(f"admin:gates_{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403


def test_times_are_told_to_the_second_and_with_their_zone(client):
    signed_in(client, is_staff=True, is_superuser=True)
    run = a_run()
    page = client.get(reverse("admin:gates_run_change", args=[run.pk])).content.decode()
    assert f"{run.planned_start:%Y-%m-%d %H:%M:%S} UTC" in page


def test_a_forged_change_of_a_slot_is_refused(client):
    signed_in(client, is_staff=True, is_superuser=True)
    slot = a_run().slots.first()
    answer = client.post(reverse("admin:gates_slot_change", args=[slot.pk]), {"state": "done", "verdict": "passed"})
    assert answer.status_code == 403
    assert Slot.objects.get(pk=slot.pk).state == "due"


def test_each_role_may_what_the_table_says():
    roles.make_groups()
    Group.objects.get(name="owner").permissions.set([])
    roles.make_groups()
    may = {}
    for role in roles.ROLES:
        someone = User.objects.create_user(role.name)
        someone.groups.add(Group.objects.get(name=role.name))
        assert someone.has_perm("gates.view_slot")
        changing = {name for name in someone.get_all_permissions() if not name.startswith("gates.view_")}
        may[role.name] = changing
    everyone, capital = (
        {"gates.write_review", "gates.acknowledge_alert", "gates.drill_alerts"},
        {"gates.propose_capital", "gates.stop_target", "gates.undo_by_hand", "gates.keep_routes"},
    )
    decides = {"gates.sign_off", "gates.approve_incident", "gates.approve_capital"} | everyone | capital
    works = {"gates.review_code", "gates.work_incident"} | everyone
    assert may == {
        "engineer": {"gates.start_run", "gates.sign_off"} | works | capital,
        "auditor": {"gates.change_finding"} | works,
        "risk officer": decides,
        "owner": decides,
    }


def model(name):
    return apps.get_model("gates", name)
