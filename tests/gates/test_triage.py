"""Triage: what was found cannot change, what people make of it can, and every change says who made it and when."""

from datetime import timedelta

import pghistory
import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, IntegrityError, connection, transaction

from audits.findings import Finding as PureFinding
from audits.findings import Level
from audits.verdicts import Verdict
from gates import engine
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
