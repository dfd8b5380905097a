"""Snapshots go only when the owner says so, and never the one that hourly looks go on from."""

import os
from datetime import timedelta

import pytest
from django.utils import timezone

from gates.ledger_audit import retention
from gates.ledger_audit.filling import snapshot_folder, snapshots_folder
from gates.models import Beat, Campaign, LedgerAudit
from tests.gates.ledger_audit.auditable import started, work
from tests.gates.ledger_audit.test_audit_run import through_gates

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home", "one_connection")]


@pytest.fixture
def keep_days(settings):
    def keep(days):
        settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"keep_snapshots_days": days})

    return keep


@pytest.fixture
def audits(desk):
    """Three audits whose campaigns are over: passed, failed, passed."""
    first = work(started(desk))
    desk.sql("UPDATE wartest.balance_events SET amount = amount + 1 WHERE sequence = 1")
    second = work(started(desk))
    desk.sql("UPDATE wartest.balance_events SET amount = amount - 1 WHERE sequence = 1")
    third = work(started(desk))
    Campaign.objects.update(ended_at=timezone.now())
    assert [run.verdict for run in (first, second, third)] == ["passed", "failed", "passed"]
    return first, second, third


def there(*runs):
    return [snapshot_folder(run.pk).exists() for run in runs]


def days_later(days):
    return timezone.now() + timedelta(days=days)


def test_by_default_everything_stays_for_ever(audits):
    retention.tidy(days_later(10_000))
    assert there(*audits) == [True, True, True]


def test_older_ones_go_but_for_the_last_that_passed_and_their_rows_stay(audits, keep_days):
    keep_days(30)
    retention.tidy(days_later(29))
    assert there(*audits) == [True, True, True]
    retention.tidy(days_later(31))
    assert there(*audits) == [False, False, True]
    assert LedgerAudit.objects.exclude(manifest_sha256="").count() == 3


def test_those_of_a_campaign_that_goes_on_stay(desk, keep_days):
    through_gates(desk.target, 1, 2)
    in_its_turn, alone, last = (work(started(desk)) for _ in range(3))
    ended = [run.campaign.ended_at is not None for run in (in_its_turn, alone, last)]
    assert ended == [False, True, True]
    keep_days(30)
    retention.tidy(days_later(31))
    assert there(in_its_turn, alone, last) == [True, False, True]


def test_it_looks_once_an_hour_and_removes_a_few_at_a_time(audits, keep_days, monkeypatch):
    keep_days(1)
    monkeypatch.setattr(retention, "MOST_AT_ONCE", 1)
    retention.tidy(days_later(2))
    retention.tidy(days_later(2) + timedelta(minutes=50))
    assert there(*audits) == [False, True, True]
    assert Beat.objects.filter(kind="snapshots").exists()
    retention.tidy(days_later(2) + timedelta(minutes=70))
    assert there(*audits) == [False, False, True]


def test_a_draft_that_nobody_writes_any_more_goes_and_one_in_work_stays(home):
    left, written = (snapshots_folder() / f".run-{n}-x" for n in (1, 2))
    for draft in (left, written):
        draft.mkdir(parents=True)
        (draft / "accounts.parquet").write_bytes(b"half")
    long_ago = (timezone.now() - timedelta(days=3)).timestamp()
    for path in (left / "accounts.parquet", left):
        os.utime(path, (long_ago, long_ago))
    retention.tidy(timezone.now())
    assert (left.exists(), written.exists()) == (False, True)
