"""What a dead engine left is undone by whoever can, and never said to be undone where nobody could look."""

import asyncio
import subprocess
import sys
from datetime import timedelta

import psycopg
import pytest
from django.utils import timezone

from gates import workers
from gates.alerts.rechecking import recheck
from gates.alerts.thresholds import HOLD
from gates.chaos.cells.ledgers import LedgerServer
from gates.chaos.cells.processes import start_ticks
from gates.chaos.commands import Asked, CannotStrikeError, start_chaos
from gates.chaos.engine import healing
from gates.models import Alert, CrashPoint, Heal, Run

LATE = timedelta(minutes=10)
SKEW = timedelta(seconds=1)
ELSEWHERE = "desk-two:17:1.00:0123456789ab"


@pytest.fixture
def point(desk_target):
    """A crash point that an engine has struck, of a run that is open."""
    run = start_chaos(Asked(desk_target, "smoke", ("kill_during_event_replay",)), started_by=None, now=timezone.now())
    fields = {"operation": "replay", "point": "p", "label": "l", "position": 0, "strike": "kill before"}
    return CrashPoint.objects.create(scenario=run.scenarios.get(), number=1, fault="kill before", attempt=1, **fields)


def heal_of(point, **what):
    """A heal that is overdue by now; the crash point is its last word on everything else."""
    at = timezone.now() - LATE
    return Heal.objects.create(crash_point=point, attempt=1, fault="kill", what=what, written_at=at, due_at=at)


def copy_on(url):
    return asyncio.run(LedgerServer(url).create("run"))


def stands(postgres_server, database):
    with psycopg.connect(postgres_server.url()) as connection:
        return bool(connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone())


def test_what_another_machines_engine_left_is_left_to_it_and_somebody_must_know(point, postgres_server):
    target = subprocess.Popen((sys.executable, "-c", "import time; time.sleep(60)"))
    database = copy_on(postgres_server.url())
    what = {"target_pid": target.pid, "target_started_ticks": start_ticks(target.pid), "database": database}
    try:
        heal = heal_of(point, engine=ELSEWHERE, **what)
        healing.heal_left(timezone.now())
        heal.refresh_from_db()
        assert heal.healed_at is None
        assert target.poll() is None  # a number there is another process here
        assert stands(postgres_server, database)
        alert = Alert.objects.get()
        assert (alert.level, alert.rule, alert.state) == ("critical", "unhealed fault", "open")
        assert "on another machine, desk-two," in alert.sentence
        healing.heal_left(timezone.now())
        alert.refresh_from_db()
        assert alert.count == 2
        Heal.objects.filter(pk=heal.pk).update(healed_at=timezone.now(), healed_by="a worker over there")
        assert recheck(timezone.now()) == 1
        alert.refresh_from_db()
        assert alert.state == "resolved"
    finally:
        target.kill()
        target.wait(30)
        asyncio.run(LedgerServer(postgres_server.url()).drop(database))


def test_an_alert_that_came_back_is_resolved_once_it_was_quiet_whoever_noted_the_heal_first(point):
    now = timezone.now()
    heal = heal_of(point, engine=ELSEWHERE)
    healing.heal_left(now)
    Heal.objects.filter(pk=heal.pk).update(healed_at=now - SKEW, healed_by="a worker whose clock is late")
    assert recheck(now + SKEW) == 1
    again = heal_of(point, engine=ELSEWHERE)
    healing.heal_left(now + 2 * SKEW)
    Heal.objects.filter(pk=again.pk).update(healed_at=now + 2 * SKEW, healed_by="a worker over there")
    alert = Alert.objects.get()
    assert (alert.state, alert.openings) == ("open", 2)
    assert recheck(now + 2 * SKEW + HOLD - SKEW) == 0
    assert recheck(now + 2 * SKEW + HOLD) == 1
    alert.refresh_from_db()
    assert (alert.state, alert.recheck) == ("resolved", "The heal of kill was carried out.")


def started_again(point):
    target = point.scenario.run.campaign.target
    return start_chaos(Asked(target, "smoke", ("kill_during_event_replay",)), started_by=None, now=timezone.now())


def test_a_server_that_does_not_answer_shuts_the_target_until_it_does(point, postgres_server, monkeypatch):
    database = copy_on(postgres_server.url())
    target = point.scenario.run.campaign.target
    Run.objects.filter(pk=point.scenario.run_id).update(state="closed", verdict="inconclusive")
    heal = heal_of(point, server=f"127.0.0.1:{postgres_server.port}", database=database)
    also = heal_of(point)
    answering = healing.LedgerServer.drop

    async def refused(server, name):
        raise psycopg.OperationalError("connection refused")

    monkeypatch.setattr(healing.LedgerServer, "drop", refused)
    healing.heal_left(timezone.now())
    also.refresh_from_db()
    assert also.healed_at is not None
    alert = Alert.objects.get()
    assert (alert.level, alert.state, alert.target) == ("critical", "open", target)
    assert "could not be undone: connection refused" in alert.sentence
    assert recheck(timezone.now()) == 0  # another heal of the run was carried out, and this one was not
    with pytest.raises(CannotStrikeError, match=f"is shut: .* alert 'unhealed fault': its database {database} is on"):
        started_again(point)
    monkeypatch.setattr(healing.LedgerServer, "drop", answering)
    healing.heal_left(timezone.now())
    heal.refresh_from_db()
    assert heal.healed_at is not None
    assert not stands(postgres_server, database)
    assert recheck(timezone.now()) == 1
    alert.refresh_from_db()
    assert alert.state == "resolved"
    assert started_again(point).state == "running"


def test_a_description_that_names_another_server_by_now_undoes_nothing(point, postgres_server):
    heal = heal_of(point, server="10.0.0.7:5432", database="wartest_cell_0123456789ab_1_1_1_run")
    healing.heal_left(timezone.now())
    heal.refresh_from_db()
    assert heal.healed_at is None
    alert = Alert.objects.get()
    assert "is on 10.0.0.7:5432, and the target's description names 127.0.0.1:" in alert.sentence
    assert "Let the description name that server again" in alert.sentence


def test_an_overdue_strike_is_not_undone_under_the_engine_that_still_follows_it(point, postgres_server):
    database = copy_on(postgres_server.url())
    heal = heal_of(point, engine=workers.identity(), database=database)
    CrashPoint.objects.filter(pk=point.pk).update(lease_until=timezone.now() + LATE, worker=workers.identity())
    healing.heal_left(timezone.now())
    heal.refresh_from_db()
    assert heal.healed_at is None
    assert stands(postgres_server, database)
    CrashPoint.objects.filter(pk=point.pk).update(attempt=2)  # another took it: nobody follows the first
    healing.heal_left(timezone.now())
    heal.refresh_from_db()
    assert heal.healed_at is not None
    assert not stands(postgres_server, database)
    assert not Alert.objects.exists()


def test_heals_that_cannot_be_carried_out_keep_no_other_waiting(point):
    for _ in range(3 * healing.AT_ONCE):
        heal_of(point, engine=ELSEWHERE)
    heal = heal_of(point)
    for _ in range(500):
        healing.heal_left(timezone.now())
        heal.refresh_from_db()
        if heal.healed_at:
            break
    assert heal.healed_at is not None
