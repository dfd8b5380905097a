"""Targets as rows: added, described anew, removed with their evidence kept, from four variables; and their pages."""

import json
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction
from django.urls import reverse

from gates import roles
from gates.models import Preflight, Run, Target
from gates.pages.start import start_offer
from gates.targets import from_variables
from gates.targets.commands import TargetRefusedError, add_from_variables, add_target, remove_target
from gates.targets.queries import NoSuchTargetError, listed_targets, target_named
from gates.targets.reading import read_text
from tests.gates.cast import a_campaign, a_run
from tests.gates.targets.described import PLAIN

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SPEC = read_text(PLAIN).spec()
VARIABLES = {
    "SUPABASE_URL": "https://abc.supabase.co",
    "SUPABASE_KEY": "a secret key",
    "OANDA_API_KEY": "another secret",
    "OANDA_ACCOUNT_ID": "101-004-1234567-001",
}
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def plain_static(settings):
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


def test_a_target_is_added_changed_removed_and_comes_back():
    assert add_target("fx-desk", SPEC, NOW)[1] == "added"
    assert add_target("fx-desk", SPEC, NOW)[1] == "unchanged"
    assert add_target("fx-desk", SPEC | {"build": {"value": "2"}}, NOW)[1] == "changed"
    remove_target("fx-desk", NOW)
    with pytest.raises(NoSuchTargetError, match="was removed"):
        target_named("fx-desk")
    assert add_target("fx-desk", SPEC, NOW)[1] == "returned"
    assert target_named("fx-desk").spec == SPEC


def test_nothing_changes_under_a_run_and_the_bundled_target_stays():
    run = a_run(spec=SPEC)
    for change in (lambda: add_target("fx-desk", {}, NOW), lambda: remove_target("fx-desk", NOW)):
        with pytest.raises(TargetRefusedError, match=f"Run {run.pk}"):
            change()
    Target.objects.create(name="rehearsal", spec={}, created_at=NOW)
    with pytest.raises(TargetRefusedError, match="stays"):
        remove_target("rehearsal", NOW)


def test_a_removed_target_keeps_its_campaigns_and_is_offered_nowhere():
    campaign = a_campaign(passed=(1,))
    remove_target("fx-desk", NOW)
    assert Run.objects.filter(campaign=campaign).exists()
    assert start_offer(User.objects.create_superuser("root"))["targets"] == []
    with pytest.raises(DatabaseError, match="Cannot delete"), transaction.atomic():
        Target.objects.all()._raw_delete("default")


def test_four_variables_are_a_target_whose_description_holds_no_secret(monkeypatch):
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    target = add_from_variables(NOW)
    assert target.spec["broker"]["url"] == "https://api-fxpractice.oanda.com"
    assert "secret" not in json.dumps(target.spec)
    assert from_variables.described(VARIABLES | {"OANDA_ACCOUNT_ID": "001-1-1-001"})["broker"]["url"].endswith(
        "api-fxtrade.oanda.com"
    )
    remove_target(target.name, NOW)
    assert add_from_variables(NOW).removed_at == NOW


def test_three_of_the_four_variables_are_no_target_and_the_fourth_is_named(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SUPABASE_URL", "https://abc.supabase.co")
    assert add_from_variables(NOW) is None
    assert from_variables.missing() == ["SUPABASE_KEY", "OANDA_API_KEY", "OANDA_ACCOUNT_ID"]


def test_the_commands_add_list_and_remove(tmp_path, settings, monkeypatch):
    monkeypatch.setattr("wartest_site.stack.running_stack", lambda home: None)
    monkeypatch.setenv("DATABASE_URL", "postgresql://given")
    path = tmp_path / "desk.toml"
    path.write_text(PLAIN.replace("schema =", "schemas ="))
    with pytest.raises(CommandError, match=r"line 5: \[ledger\] schemas") as told:
        call_command("add_target", str(path))
    assert told.value.returncode == 2
    path.write_text(PLAIN)
    said = StringIO()
    call_command("add_target", str(path), stdout=said)
    assert "preflight --target fx-desk" in said.getvalue()
    assert "env:OANDA_API_KEY" in said.getvalue()
    call_command("list_targets", stdout=said)
    assert "books: PostgreSQL, env:LEDGER_URL" in said.getvalue()
    call_command("remove_target", "fx-desk", stdout=said)
    assert Target.objects.get(name="fx-desk").removed_at
    with pytest.raises(CommandError, match="was removed"):
        call_command("remove_target", "fx-desk")


@pytest.fixture
def target():
    secret = {"url": "postgresql://desk:hunter2000@db/x?password=hunter2000", "schema": "wartest"}
    found = Target.objects.create(name="fx-desk", spec=SPEC | {"ledger": secret}, created_at=NOW)
    lines = [
        {"group": "books", "need": "ledger", "met": True, "words": "answers"},
        {"group": "books", "need": "contract", "met": False, "words": "<b>orders</b> lacks units"},
    ]
    Preflight.objects.create(target=found, at=NOW, took_s=1.5, met=False, lines=lines, identity={}, differences=[])
    return found


def test_the_pages_show_description_and_preflight_and_no_secret(client, target):
    client.force_login(User.objects.create_user("reader"))
    shown = client.get(reverse("gates:target", args=["fx-desk"]))
    assert "hunter2000" not in shown.text
    assert "&lt;b&gt;orders&lt;/b&gt; lacks units" in shown.text
    assert "Start a campaign" not in shown.text
    twin = client.get(reverse("gates:target_json", args=["fx-desk"]))
    assert "hunter2000" not in twin.text
    assert twin.json()["preflights"][0]["lines"][1]["met"] is False
    assert [row["name"] for row in client.get(reverse("gates:targets_json")).json()["targets"]] == ["fx-desk"]
    assert "failed" in client.get(reverse("gates:targets")).text
    assert client.get(reverse("gates:target", args=["none"])).status_code == 404


def test_who_may_start_sees_the_form_unless_the_target_was_removed(client, target):
    roles.make_groups()
    engineer = User.objects.create_user("engineer")
    engineer.groups.add(Group.objects.get(name="engineer"))
    client.force_login(engineer)
    assert "Start a campaign" in client.get(target.get_absolute_url()).text
    remove_target("fx-desk", NOW)
    shown = client.get(target.get_absolute_url()).text
    assert "Start a campaign" not in shown
    assert "starts nothing any more" in shown
    answer = client.post(reverse("gates:start_campaign"), {"target": "fx-desk", "profile": "smoke"}, follow=True)
    assert "There is no such target" in answer.text


def test_a_target_without_a_process_is_listed_and_the_bundled_desk_with_a_defect_is_not():
    Target.objects.create(name="from-variables", spec={"ledger": {}}, created_at=NOW)
    Target.objects.create(name="rehearsal with x", spec={"process": {"defects": ["x"]}}, created_at=NOW)
    assert [row.name for row in listed_targets()] == ["from-variables"]


def test_nobody_sees_a_target_without_signing_in(client, target):
    for name in ("targets", "targets_json"):
        assert client.get(reverse(f"gates:{name}")).status_code == 302
    for name in ("target", "target_json"):
        assert client.get(reverse(f"gates:{name}", args=["fx-desk"])).status_code == 302


def test_a_preflight_is_never_rewritten(target):
    with pytest.raises(DatabaseError, match="Cannot update"), transaction.atomic():
        Preflight.objects.update(met=True)
