"""Triage: what was found cannot change, what people make of it can, and every change says who made it and when."""

from datetime import timedelta

import pghistory
import pytest
from django.contrib.auth.models import Group, User
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.urls import reverse

from audits.findings import Finding as PureFinding
from audits.findings import Level
from audits.verdicts import Verdict
from gates import engine, roles
from gates.checks.outcome import Outcome
from gates.fingerprints import fingerprint
from gates.models import Finding
from gates.models.findings import TRIAGE
from tests.gates.cast import START, a_run

pytestmark = pytest.mark.django_db
EVENT_7 = PureFinding("balance row", Level.CRITICAL, "Event 7 does not add up.", "10", "9", "-1", {"event_id": "7"})


def a_finding(found=EVENT_7, run=None):
    """Let a slot of the run find it."""
    slot = (run or a_run()).slots.filter(state="due").first()
    mine = engine.claim(slot.pk, worker="a", now=slot.due_at)
    assert engine.record(mine, Outcome(Verdict.FAILED, findings=(found,)), started_at=slot.due_at, now=slot.due_at)
    return Finding.objects.latest("pk")


EVIDENCE = [field.column for field in Finding._meta.fields if field.name not in TRIAGE]


@pytest.mark.parametrize("column", EVIDENCE)
def test_sql_cannot_change_any_column_of_the_evidence(column):
    found = a_finding()
    other = {"id": "id + 1000", "run_id": "run_id + 1", "slot_id": "NULL", "where": "'{}'", "found_at": "now()"}
    change = f'UPDATE gates_finding SET "{column}" = {other.get(column, "'changed'")} WHERE id = %s'
    with (
        connection.cursor() as cursor,
        pytest.raises(DatabaseError, match="Cannot update rows from gates_finding"),
        transaction.atomic(),
    ):
        cursor.execute(change, [found.pk])


def test_a_finding_cannot_be_deleted():
    with pytest.raises(DatabaseError, match="Cannot delete"), transaction.atomic():
        Finding.objects.filter(pk=a_finding().pk).delete()


def test_each_change_is_kept_with_who_and_when():
    found = a_finding()
    auditor = User.objects.create_user("auditor")
    with pghistory.context(user=auditor.pk):
        found.state, found.owner, found.cause = "target bug", auditor, "An amount was rounded."
        found.save()
        found.fix = "Build 2."
        found.save()
    first, second = found.changes.all()
    assert (first.state, first.owner, first.cause, first.fix) == ("target bug", auditor, "An amount was rounded.", "")
    assert second.fix == "Build 2."
    assert first.pgh_context["user"] == auditor.pk
    assert first.pgh_created_at is not None


def test_a_bulk_update_is_kept_for_every_row():
    run = a_run()
    for _ in range(3):
        a_finding(run=run)
    Finding.objects.update(state="environment")
    assert [change.state for found in Finding.objects.all() for change in found.changes.all()] == ["environment"] * 3


def test_the_history_of_a_finding_cannot_be_changed():
    found = a_finding()
    Finding.objects.update(state="environment")
    for tamper in (lambda: found.changes.update(state="explained"), lambda: found.changes.all().delete()):
        with pytest.raises(DatabaseError, match="Cannot update or delete"), transaction.atomic():
            tamper()


@pytest.mark.parametrize("values", [{"state": "fine"}, {"state": "explained"}])
def test_an_unknown_state_and_an_explanation_without_a_cause_are_refused(values):
    found = a_finding()
    with pytest.raises(IntegrityError), transaction.atomic():
        Finding.objects.filter(pk=found.pk).update(**values)


def test_a_finding_that_comes_back_has_the_fingerprint_of_its_earlier_self():
    first = a_finding()
    again = PureFinding("balance row", Level.CRITICAL, "Other words.", "10", "8", "-2", {"event_id": "7"})
    assert a_finding(again, a_run(start=START + timedelta(days=1))).fingerprint == first.fingerprint != ""


def test_another_row_another_rule_or_another_target_is_another_finding():
    elsewhere = PureFinding("balance row", Level.CRITICAL, "", where={"event_id": "8"})
    other_rule = PureFinding("balance chain", Level.CRITICAL, "", where={"event_id": "7"})
    named = {fingerprint(1, EVENT_7), fingerprint(2, EVENT_7), fingerprint(1, elsewhere), fingerprint(1, other_rule)}
    assert len(named) == 4


@pytest.fixture
def auditor(client, settings):
    """Sign in somebody who may work through findings, in the admin."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    roles.make_groups()
    user = User.objects.create_user("auditor", is_staff=True)
    user.groups.add(Group.objects.get(name="auditor"))
    client.force_login(user)
    return client


LIST = reverse("admin:gates_finding_changelist")


def change_page(found):
    return reverse("admin:gates_finding_change", args=[found.pk])


def form(**changed):
    return {"state": "to investigate", "owner": "", "cause": "", "fix": "", "prevention_test": ""} | changed


def test_an_auditor_works_on_a_finding_and_the_page_says_who_did(auditor):
    found = a_finding()
    answer = auditor.post(change_page(found), form(state="target bug", cause="Rounded."))
    assert answer.status_code == 302
    found.refresh_from_db()
    assert (found.state, found.cause) == ("target bug", "Rounded.")
    change = found.changes.get()
    assert change.pgh_context["user"] == User.objects.get(username="auditor").pk
    page = auditor.get(reverse("gates:finding", args=[found.pk])).content.decode()
    assert "<strong>auditor</strong>: state “target bug”, cause “Rounded.”" in page
    assert "Rounded." in auditor.get(change_page(found)).content.decode()


def test_what_was_found_cannot_be_changed_by_a_forged_form(auditor):
    found = a_finding()
    forged = form(state="environment", sentence="Nothing.", rule="none", measured="10", difference="0")
    assert auditor.post(change_page(found), forged).status_code == 302
    found.refresh_from_db()
    assert (found.state, found.sentence, found.rule, found.measured) == (
        "environment",
        "Event 7 does not add up.",
        "balance row",
        "9",
    )


@pytest.mark.parametrize(("changed", "words"), [({"state": "fine"}, "fine"), ({"state": "explained"}, "Say the cause")])
def test_a_change_that_makes_no_sense_is_answered_in_words(auditor, changed, words):
    found = a_finding()
    answer = auditor.post(change_page(found), form(**changed))
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not found.changes.exists()


@pytest.mark.parametrize("role", ["engineer", "risk officer", "owner"])
def test_other_roles_may_look_but_change_nothing(auditor, role):
    found = a_finding()
    user = User.objects.create_user("other", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    auditor.force_login(user)
    assert auditor.get(change_page(found)).status_code == 200
    assert auditor.post(change_page(found), form(state="environment")).status_code == 403
    chosen = {"action": "assign", "_selected_action": [found.pk], "give": "1", "state": "environment"}
    auditor.post(LIST, chosen)
    found.refresh_from_db()
    assert found.state == "to investigate"


def test_nobody_adds_or_deletes_a_finding(auditor):
    found = a_finding()
    auditor.force_login(User.objects.create_superuser("root", password="x"))
    assert auditor.get(reverse("admin:gates_finding_add")).status_code == 403
    assert auditor.post(reverse("admin:gates_finding_delete", args=[found.pk]), {"post": "yes"}).status_code == 403


def test_many_findings_are_given_an_owner_and_a_state_at_once(auditor):
    run = a_run()
    chosen = [a_finding(run=run).pk for _ in range(3)]
    other = a_finding(run=run)
    owner = User.objects.get(username="auditor")
    asked = {"action": "assign", "_selected_action": chosen}
    assert "Give to all 3" in auditor.post(LIST, asked).content.decode()
    auditor.post(LIST, asked | {"give": "1", "state": "target bug", "owner": owner.pk, "cause": ""})
    for found in Finding.objects.filter(pk__in=chosen):
        assert (found.state, found.owner) == ("target bug", owner)
        assert [change.pgh_context["user"] for change in found.changes.all()] == [owner.pk]
    other.refresh_from_db()
    assert (other.state, other.owner) == ("to investigate", None)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "otherwise nothing changes"),
        ({"state": "explained"}, "1 of them have none"),
        ({"state": "x"}, "valid choice"),
    ],
)
def test_a_bulk_change_that_makes_no_sense_changes_nothing(auditor, given, words):
    found = a_finding()
    asked = {"action": "assign", "_selected_action": [found.pk], "give": "1"}
    assert words in auditor.post(LIST, asked | given).content.decode()
    assert not found.changes.exists()


def test_findings_are_filtered_and_searched(auditor):
    run = a_run()
    mine, other = a_finding(run=run), a_finding(PureFinding("gap", Level.HIGH, "A number is missing."), run)
    auditor.post(change_page(mine), form(state="environment", owner=User.objects.get(username="auditor").pk))

    def shown(**query):
        return set(auditor.get(LIST, query).context["cl"].queryset.values_list("pk", flat=True))

    assert shown() == {mine.pk, other.pk}
    assert shown(state__exact="environment") == shown(owned="mine") == shown(level__exact="critical") == {mine.pk}
    assert shown(owned="nobody") == shown(q="number is missing") == {other.pk}


def test_a_finding_that_came_back_is_linked_to_its_earlier_selves(auditor):
    first = a_finding()
    auditor.post(change_page(first), form(state="target bug", cause="A rounded amount."))
    again = a_finding(run=a_run(start=START + timedelta(days=1)))
    for address in (change_page(again), reverse("gates:finding", args=[again.pk])):
        page = auditor.get(address).content.decode()
        assert f"finding {first.pk}</a>" in page
        assert "A rounded amount." in page
    assert set(auditor.get(LIST, {"returned": "yes"}).context["cl"].queryset) == {again}
    assert set(auditor.get(LIST, {"returned": "no"}).context["cl"].queryset) == {first}
    assert "It was there before" not in auditor.get(reverse("gates:finding", args=[first.pk])).content.decode()
