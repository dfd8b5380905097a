"""A ledger that no slot could read whole: hourly looks go on from the last audit, if that passed."""

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from gates import engine, stepping
from gates.checks import integrity
from gates.ledger_audit.filling import snapshot_folder
from tests.gates.cast import a_run
from tests.gates.ledger_audit.auditable import started, work

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home", "one_connection")]


@pytest.fixture
def too_large(monkeypatch):
    """Reading the whole takes longer than a step may."""

    def whole(access):
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(integrity, "SMALL_ROWS", 0)
    monkeypatch.setattr(integrity, "_whole", whole)


def a_look(desk):
    """Return what the next integrity slot of a run of gate 1 recorded."""
    run = a_run(spec=desk.target.spec)
    slot = run.slots.filter(check_name="integrity").first()
    assert stepping.step(engine.claim(slot.pk, worker="a", now=slot.due_at))
    slot.refresh_from_db()
    return slot.result


def test_without_an_audit_it_says_that_one_is_needed(desk, too_large):
    seen = a_look(desk)
    assert seen.verdict == "inconclusive"
    assert "too large to be read whole within one slot: run an audit" in seen.reason


def test_after_an_audit_that_passed_only_the_new_is_read(desk, too_large):
    assert work(started(desk)).verdict == "passed"
    seen = a_look(desk)
    assert seen.verdict == "passed", seen.reason
    assert seen.measured["read"].endswith("rows, booked since the last audit")
    assert seen.measured["marks"], "the next slot goes on from here"


def test_what_breaks_after_the_audit_is_found(desk, too_large):
    work(started(desk))
    desk.sql("UPDATE wartest.accounts SET balance = balance + 1")
    assert a_look(desk).verdict == "failed"


@pytest.mark.parametrize("change", ["a later audit failed", "its files have changed", "its files are gone"])
def test_an_audit_that_proves_nothing_any_more_is_not_gone_on_from(desk, too_large, change):
    audited = work(started(desk))
    folder = snapshot_folder(audited.pk)
    if change == "a later audit failed":
        desk.sql("UPDATE wartest.balance_events SET amount = amount + 1 WHERE sequence = 1")
        assert work(started(desk)).verdict == "failed"
        desk.sql("UPDATE wartest.balance_events SET amount = amount - 1 WHERE sequence = 1")
    elif change == "its files have changed":
        with (folder / "balance_events.parquet").open("ab") as file:
            file.write(b"!")
    else:
        folder.rename(folder.with_name("elsewhere"))
    assert a_look(desk).verdict == "inconclusive"
