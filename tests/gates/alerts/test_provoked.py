"""Each of the thirteen rules provoked for real: raised once, names its cause, folds, resolved by a clean look alone.

One desk, one broker, one ledger and one stream process for all, in the order of the file; the crash comes last.
"""

import time
from datetime import UTC, datetime
from pathlib import Path

import psutil
import psycopg
import pytest
from django.core.management import call_command

from gates.alerts.provoking import books, machine, market
from gates.alerts.provoking.provocations import PROVOCATIONS
from gates.alerts.rules import BY_NAME, RULES
from gates.alerts.rules.observed import Observed
from gates.alerts.thresholds import DEFAULTS
from gates.alerts.watching.process import ProcessWatch
from gates.checks.processes import started_ticks
from gates.models import Alert
from tests.gates.alerts.provoking import provoking
from tests.gates.rehearsal.desk.processes import wait_until

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def provoked(django_db_setup, django_db_blocker, postgres_server, tmp_path_factory):
    with django_db_blocker.unblock():
        try:
            with provoking(postgres_server, tmp_path_factory.mktemp("provoked")) as running:
                yield running
        finally:
            call_command("flush", verbosity=0, interactive=False)


@pytest.fixture
def place(provoked):
    yield provoked.place
    provoked.place.no_fault()  # nothing is left armed


def another_is_executed(place, late):
    """Open, let the price go through the stop, and say whether that resolved the alert."""
    market.stop_in_time(place)
    time.sleep(0.5)  # a look takes this long at the most when nothing else runs
    late.refresh_from_db()
    return late.state == "resolved"


def test_a_withheld_stop_is_missed_and_once_it_is_executed_late(provoked, place):
    place.open()
    with market.stop_withheld(place):
        missed = provoked.raised("missed SL/TP trigger", count=2)
        assert missed.level == "critical"
        assert "was touched by 1.0985" in missed.sentence
        pending = place.broker("GET", "/pendingOrders")["orders"]
        assert missed.cause["order_id"] in {order["id"] for order in pending if order["type"] == "STOP_LOSS"}
        assert missed.threshold == "executed within 2 s"

        place.no_fault()
        market.higher_stop_in_time(place)
        wait_until(lambda: "clean" in provoked.says("SL/TP latency > 100 ms"), what="another stop is executed in time")
        assert "firing" in provoked.says("missed SL/TP trigger"), "while one waits, no other is a clean look"
        assert provoked.alerts("missed SL/TP trigger")[0].state == "open"

    with market.stop_let_go_late(place):
        late = provoked.raised("SL/TP latency > 100 ms", count=2)
    assert late.level == "high"
    assert late.cause["transaction_id"]
    assert provoked.alerts("missed SL/TP trigger")[0].state == "open", "that it was executed at last is no clean look"

    # The clean look must be later than the last that was late: on a busy machine that takes more than one stop.
    wait_until(lambda: another_is_executed(place, late), what="another stop is executed in time, later than the last")
    assert provoked.alerts("SL/TP latency > 100 ms")[0].state == "resolved"
    assert "and executed in" in provoked.resolved(missed).recheck
    assert "and executed in" in provoked.resolved(late).recheck


def test_a_balance_that_its_events_do_not_add_up_to_is_a_violation_and_reconciled_as_a_mismatch(provoked, place):
    with books.cent_too_much(place) as did:
        broken = provoked.raised("balance equation violation")
        assert "but its last balance event ends with" in broken.sentence
        assert broken.cause["account_id"] == did["account"]
        mismatch = provoked.raised("reconciliation mismatch", count=2)
        assert mismatch.cause["reconciliation_id"]
    assert "add up exactly" in provoked.resolved(broken).recheck
    assert "found nothing" in provoked.resolved(mismatch).recheck


def test_a_balance_event_that_was_changed_at_rest_is_a_violation(provoked, place):
    alert = provoked.alerts("balance equation violation")[0]
    event = "(SELECT event_id FROM wartest.balance_events ORDER BY sequence DESC LIMIT 1)"
    place.sql("ALTER TABLE wartest.balance_events DROP CONSTRAINT balance_events_check")
    place.sql(f"UPDATE wartest.balance_events SET amount = amount + 1 WHERE event_id = {event}")
    again = provoked.raised("balance equation violation", count=alert.count + 1)
    assert (again.pk, again.openings) == (alert.pk, 2), "the same soon after is the same alert, open again"
    assert "is not" in again.sentence
    place.sql(f"UPDATE wartest.balance_events SET amount = amount - 1 WHERE event_id = {event}")
    wait_until(lambda: "clean" in provoked.says(alert.rule), what="the books add up again")
    assert Alert.objects.get(pk=alert.pk).state == "open", "what came back must be quiet for a while"


def test_a_trade_that_the_desk_does_not_know_is_an_orphan_until_it_is_booked(provoked, place):
    with market.trade_of_another_hand(place) as did:
        orphan = provoked.raised("orphaned position")
        with market.trade_of_another_hand(place):
            assert provoked.raised("orphaned position", count=2).pk == orphan.pk
    assert orphan.cause["key"] == f"trade {did['trade']}"
    assert "each open position its trade" in provoked.resolved(orphan).recheck


def test_reconciliations_that_take_too_long_are_told(provoked, place):
    with market.slow_reads(place):
        slow = provoked.raised("reconciliation latency > 1 s", count=2)
        assert slow.cause["duration_ms"] > "1"
    assert " took " in provoked.resolved(slow).recheck


def test_a_position_that_is_not_what_its_events_amount_to_fails_its_replay(provoked, place):
    place.open()
    with books.profit_without_event(place) as one:
        place.open()
        with books.profit_without_event(place) as other:
            failed = provoked.raised("event replay failure", count=2)
    assert "its profit is" in failed.sentence
    assert failed.cause["position_id"] in (one["position"], other["position"])
    assert "what their events amount to" in provoked.resolved(failed).recheck


def test_sessions_ended_by_force_and_a_server_that_lets_nobody_in_are_connection_issues(provoked, place):
    with books.sessions_cut(place):
        cut = provoked.raised("database connection issues")
    assert cut.cause["killed"] >= 1
    name = place.desk.database_url.rpartition("/")[2]
    elsewhere = place.desk.database_url.rpartition("/")[0] + "/postgres"
    with psycopg.connect(elsewhere, autocommit=True) as server:
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        try:
            assert provoked.raised("database connection issues", count=cut.count + 1).pk == cut.pk
        finally:
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
    assert "answers" in provoked.resolved(cut).recheck


def test_a_query_that_sleeps_and_one_that_waits_for_a_lock_are_slow(provoked, place):
    with psycopg.connect(place.desk.database_url, autocommit=True) as sleeper, books.lock_held(place) as did:
        slow = provoked.raised("slow queries")
        sleeper.execute("SET statement_timeout = 1500")
        with pytest.raises(psycopg.errors.QueryCanceled):
            sleeper.execute("SELECT pg_sleep(60)")
        assert provoked.raised("slow queries", count=2).pk == slow.pk
    assert slow.cause["blocked_by"] == [did["holder"]]
    assert "The longest query now" in provoked.resolved(slow).recheck


def test_more_warnings_in_its_log_than_before_are_a_rise(provoked, place):
    wait_until(lambda: "no rise" in provoked.says("warning count rising"), what="its log was quiet for long enough")

    def cut_off():
        books.cut_again(place)
        return provoked.alerts("warning count rising")

    wait_until(cut_off, what="the desk warns of its ledger more often")
    rise = provoked.raised("warning count rising")
    assert "does not answer" in rise.cause["line"]
    assert "no rise" in provoked.resolved(rise).recheck


def test_a_desk_that_becomes_slower_than_itself_is_degraded(provoked, place):
    rule = "performance degradation"
    wait_until(lambda: "as before" in provoked.says(rule), what="its usual pace is known")
    with market.slow_reads(place):
        slower = provoked.raised(rule)
    assert slower.cause["usual_ms"] < slower.cause["lately_ms"][-1]
    assert "as before" in provoked.resolved(slower).recheck


def test_a_busy_desk_uses_too_much_of_the_processor(provoked, place):
    rule = "resource use > 80 %"
    wait_until(lambda: "clean" in provoked.says(rule), what="it rests")

    def kept_busy():
        machine.asked_for_nothing(place)
        return provoked.alerts(rule)

    wait_until(kept_busy, what="the desk is seen to be busy")
    busy = provoked.raised(rule)
    assert busy.cause["resource"] == "processor"
    assert "processor" in provoked.resolved(busy).recheck


def test_a_disk_that_fills_is_seen_by_its_path(tmp_path: Path):
    me = psutil.Process()
    watch = ProcessWatch(me.pid, started_ticks(me), average_s=0.001, disks=[str(tmp_path)])
    seen = wait_until(lambda: (look := watch.look()) and look.cpu_pct is not None and look, what="a second look")
    share = seen.disks[str(tmp_path)]
    assert share == pytest.approx(psutil.disk_usage(str(tmp_path)).percent, abs=5)
    at = datetime(2026, 3, 1, tzinfo=UTC)
    limits = DEFAULTS | {"cpu_pct": 1e9, "memory_pct": 1e9, "disk_pct": share / 2}
    (breach,) = BY_NAME["resource use > 80 %"].judge(Observed(at, process=seen), limits).breaches
    assert breach.cause["resource"] == f"disk of {tmp_path}"


def test_a_killed_desk_is_a_crash_until_another_one_answers(provoked, place):
    with machine.killed(place) as did:
        crash = provoked.raised("system crash")
    assert crash.cause["pid"] == did["pid"]
    assert crash.level == "critical"
    assert f"as process {place.pid}" in provoked.resolved(crash).recheck


def test_all_thirteen_were_provoked(provoked):
    assert set(Alert.objects.filter(run=provoked.place.run).values_list("rule", flat=True)) == {
        rule.name for rule in RULES
    }


def test_each_rule_has_one_provocation():
    assert sorted(rule for each in PROVOCATIONS for rule in each.raises) == sorted(BY_NAME)
