"""Gate 3 as a run: started in its turn, worked on by one process at a time, and never passed without evidence."""

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from audits.snapshot import MANIFEST, take_snapshot
from audits.verdicts import Verdict
from gates import commands, engine, tasks
from gates.ledger_audit import filling, lease, starting
from gates.ledger_audit.commands import CannotAuditError
from gates.ledger_audit.plans import audit_plan_for
from gates.models import Campaign, LedgerAudit
from tests.audits.books import BooksBroker
from tests.gates.cast import a_gate, a_run
from tests.gates.ledger_audit.auditable import BUILD, answer, claimed, started, work

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home", "one_connection")]


def process(audit_id, attempt):
    argv = (sys.executable, "-m", "gates.ledger_audit", str(audit_id), str(attempt))
    return subprocess.Popen(argv, cwd=starting.ROOT)


def through_gates(target, *gates, build=BUILD):
    """Return a campaign in which these gates passed."""
    now = timezone.now()
    campaign = Campaign.objects.create(target=target, profile="smoke", build=build, started_at=now)
    for gate in gates:
        a_gate(campaign, gate)
    return campaign


def test_all_slots_are_cut_before_the_first_check(desk):
    run = started(desk)
    assert list(run.slots.values_list("state", flat=True)) == ["due"] * len(audit_plan_for("smoke").checks)
    assert engine.wake_ups(timezone.now()) == 0
    assert engine.wake_ups(run.planned_end) == 0


def test_every_check_leaves_its_rows_its_time_and_a_sealed_snapshot(desk, home):
    run = started(desk)
    work(run)
    assert set(run.slots.values_list("state", flat=True)) == {"done"}
    for slot in run.slots.select_related("result"):
        assert slot.result.measured["rows"] > 0, slot.result.reason
        assert slot.result.measured["duration_s"] > 0
    audit = LedgerAudit.objects.get(run=run)
    assert audit.snapshot["rows"]["balance_events"] == 2
    assert (home / "snapshots" / f"run-{run.pk}" / "manifest.json").exists()
    assert audit.manifest_sha256


def test_a_broken_row_fails_the_audit_with_its_finding(desk):
    desk.sql("UPDATE wartest.balance_events SET amount = amount + 0.0001 WHERE sequence = 1")
    run = work(started(desk))
    assert run.verdict == Verdict.FAILED
    slot = run.slots.get(check_name="balance_row")
    (group,) = slot.result.measured["groups"]
    assert (group["count"], group["worst"]["difference"]) == (1, "-0.0001")
    assert slot.findings.get().where["event_id"] == "b1"
    assert {line["name"]: line["verdict"] for line in run.criteria}["balance equation"] == "failed"
    assert run.alerts.filter(rule="balance equation violation", level="critical").exists()


def test_an_audit_counts_in_its_campaign_only_after_gates_1_and_2(desk):
    campaign = through_gates(desk.target, 1, 2)
    run = started(desk)
    assert run.campaign == campaign
    assert run.audit.counted


def test_a_passed_audit_in_its_turn_leaves_the_campaign_open_for_sign_off(desk):
    campaign = through_gates(desk.target, 1, 2)
    assert work(started(desk)).verdict == Verdict.PASSED
    campaign.refresh_from_db()
    assert (campaign.verdict, campaign.ended_at) == (None, None)


def test_a_failed_audit_in_its_turn_ends_the_campaign(desk):
    campaign = through_gates(desk.target, 1, 2)
    desk.sql("UPDATE wartest.balance_events SET amount = amount + 1 WHERE sequence = 1")
    assert work(started(desk)).verdict == Verdict.FAILED
    campaign.refresh_from_db()
    assert campaign.verdict == Verdict.FAILED
    assert campaign.ended_at is not None


@pytest.mark.parametrize(
    ("gates", "build", "why"),
    [
        ((1,), BUILD, "Gate 2 of"),
        ((1, 2, 3), BUILD, "has run already"),
        ((1, 2), "sha256:1", "is for the build sha256:1"),
        ((), BUILD, "No campaign"),
    ],
)
def test_an_audit_out_of_turn_says_why_it_does_not_count_and_opens_nothing(desk, gates, build, why):
    campaign = through_gates(desk.target, *gates, build=build)
    run = started(desk)
    assert run.campaign != campaign
    assert why in run.audit.not_counted_because
    work(run)
    assert Campaign.objects.get(pk=run.campaign_id).verdict != Verdict.PASSED
    campaign.refresh_from_db()
    assert (campaign.verdict, campaign.ended_at) == (None, None)


def test_a_passed_audit_out_of_turn_leaves_its_own_campaign_inconclusive(desk):
    run = work(started(desk))
    assert run.verdict == Verdict.PASSED
    own = Campaign.objects.get(pk=run.campaign_id)
    assert own.verdict == Verdict.INCONCLUSIVE
    assert own.ended_at is not None


def test_a_partial_audit_never_counts(desk):
    through_gates(desk.target, 1, 2)
    run = started(desk, only=["balance_row"])
    assert not run.audit.counted
    assert run.slots.count() == 1
    assert work(run).verdict == Verdict.INCONCLUSIVE
    with pytest.raises(DatabaseError), transaction.atomic():
        LedgerAudit.objects.filter(run=run).update(counted=True, not_counted_because="")


def test_an_audit_may_start_while_gate_1_runs_but_not_beside_another_audit(desk):
    a_run(spec=desk.target.spec)
    started(desk)
    with pytest.raises(CannotAuditError, match="is going on"):
        started(desk)


def test_books_that_cannot_be_read_close_the_audit_inconclusive_by_name(desk, home):
    desk.sql("ALTER TABLE wartest.executions DROP COLUMN price")
    run = work(started(desk))
    assert run.verdict == Verdict.INCONCLUSIVE
    assert all("wartest.executions.price" in slot.result.reason for slot in run.slots.select_related("result"))
    assert list((home / "snapshots").iterdir()) == []


def test_what_is_not_judged_within_the_limit_is_a_hole(desk):
    run = started(desk)
    engine.close_holes(run.planned_end)
    assert commands.close_run(run.pk, run.planned_end).verdict == Verdict.INCONCLUSIVE


def test_of_two_who_claim_one_works_and_the_loser_of_a_lease_writes_nothing(desk):
    run = started(desk)
    slow = claimed(run)
    assert lease.claim(slow.pk, worker="other", now=timezone.now()) is None
    LedgerAudit.objects.filter(pk=slow.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert lease.claim(slow.pk, worker="other", now=timezone.now()) == slow.attempt + 1
    with pytest.raises(filling.LeaseLostError):
        filling.fill(slow)
    assert set(run.slots.values_list("state", flat=True)) == {"due"}


@pytest.mark.django_db(transaction=True)
def test_a_process_killed_while_it_reads_is_started_again_by_the_next_tick(desk):
    asked, hold = threading.Event(), threading.Event()

    def hanging(path, query):
        if path != "/health":
            asked.set()
            hold.wait(20)
        return answer(desk.books, path, query)

    run = started(desk)
    desk.broker.answer = hanging
    audit = claimed(run)
    child = process(audit.pk, audit.attempt)
    assert asked.wait(20)
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    hold.set()
    desk.broker.answer = lambda path, query: answer(desk.books, path, query)
    LedgerAudit.objects.filter(pk=audit.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    tasks.audits.attend(timezone.now())
    for _ in range(400):
        if not run.slots.filter(state="due").exists():
            break
        threading.Event().wait(0.05)
    audit.refresh_from_db()
    assert audit.attempt == 2
    assert set(run.slots.values_list("state", flat=True)) == {"done"}
    assert run.slots.filter(verdict="passed").exists()


def test_the_snapshot_that_is_whole_already_is_used_again(desk, home):
    run = started(desk)
    audit = claimed(run)
    with filling._Held(audit) as held:
        first = filling._sealed(audit, held)
    desk.sql("UPDATE wartest.balance_events SET amount = amount + 1")
    work_again = LedgerAudit.objects.select_related("run__campaign__target").get(run=run)
    LedgerAudit.objects.filter(run=run).update(lease_until=None)
    work_again.attempt = lease.claim(audit.pk, worker="second", now=timezone.now())
    filling.fill(work_again)
    assert work_again.manifest_sha256 == first.manifest_sha256
    assert run.slots.get(check_name="balance_row").verdict == "passed"


def test_books_that_lay_in_its_place_before_the_audit_began_are_another_s_and_never_judged(desk):
    run = started(desk)
    desk.sql("UPDATE wartest.balance_events SET amount = amount + 1")
    lying = filling.snapshot_folder(run.pk)
    take_snapshot(desk.books, BooksBroker(desk.books), lying, tie_limit_s=0)
    os.utime(lying / MANIFEST, (0, 0))
    assert work(run).verdict == Verdict.INCONCLUSIVE
    reasons = set(run.slots.values_list("result__reason", flat=True))
    assert reasons == {f"The books could not be read: {lying} is older than this audit: it is another's. Move it away."}


def test_a_snapshot_that_changed_under_the_audit_is_said_and_never_judged(desk, home):
    run = started(desk)
    audit = claimed(run)
    with filling._Held(audit) as held:
        filling._sealed(audit, held)
    file = home / "snapshots" / f"run-{run.pk}" / "accounts.parquet"
    spoiled = bytearray(file.read_bytes())
    spoiled[10] ^= 1
    file.write_bytes(spoiled)
    LedgerAudit.objects.filter(run=run).update(lease_until=None)
    assert work(run).verdict == Verdict.INCONCLUSIVE
    assert "has changed since it was sealed" in run.slots.first().result.reason


def test_after_too_many_deaths_what_is_left_is_inconclusive(desk):
    run = started(desk)
    LedgerAudit.objects.filter(run=run).update(attempt=lease.ATTEMPTS)
    starting.attend(timezone.now())
    assert set(run.slots.values_list("verdict", flat=True)) == {"inconclusive"}
    assert "died 5 times" in run.slots.first().result.reason


@pytest.mark.parametrize("change", [{"manifest_sha256": "0" * 64}, {"snapshot": {}}, {"only": ["pnl"]}])
def test_sql_cannot_change_the_seal_or_what_was_asked(desk, change):
    run = started(desk)
    work(run)
    with pytest.raises(DatabaseError), transaction.atomic():
        LedgerAudit.objects.filter(run=run).update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        LedgerAudit.objects.filter(run=run).delete()


@pytest.mark.django_db(transaction=True)
def test_the_process_refuses_an_attempt_that_is_not_its_own(desk):
    run = started(desk)
    audit = claimed(run)
    assert process(audit.pk, audit.attempt + 1).wait(20) == 3
    assert set(run.slots.values_list("state", flat=True)) == {"due"}
