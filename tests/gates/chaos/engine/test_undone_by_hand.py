"""What a machine that never comes back has left: a person says that it is undone, and is not believed beyond that."""

import asyncio
import subprocess
import sys
from datetime import timedelta

import psycopg
import pytest
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, ProgrammingError, transaction
from django.urls import reverse
from django.utils import timezone

from gates import roles, workers
from gates.alerts.rechecking import recheck
from gates.chaos import undone_by_hand
from gates.chaos.cells.ledgers import LedgerServer
from gates.chaos.cells.processes import start_ticks
from gates.chaos.commands import Asked, CannotStrikeError, start_chaos
from gates.chaos.engine import healing
from gates.chaos.undone_by_hand import NotUndoneError, undo_by_hand
from gates.models import Alert, CrashPoint, Heal, Run

LATE = timedelta(minutes=10)
GONE = "desk-two:17:1.00:0123456789ab"
HOW = "desk-two was replaced; its host shows no process of it."


@pytest.fixture(autouse=True)
def plain_static(settings):
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def point(desk_target):
    """A crash point that an engine of another machine has struck; its run is over."""
    run = start_chaos(Asked(desk_target, "smoke", ("kill_during_event_replay",)), started_by=None, now=timezone.now())
    at = {"operation": "replay", "point": "ledger:request:1:COMMIT", "label": "ledger: COMMIT", "position": 0}
    what = {"strike": "kill before", "fault": "kill before", "attempt": 1}
    point = CrashPoint.objects.create(scenario=run.scenarios.get(), number=1, **at, **what)
    Run.objects.filter(pk=run.pk).update(state="closed", verdict="inconclusive")
    return point


@pytest.fixture
def person(db):
    roles.make_groups()
    person = User.objects.create_user("olga")
    person.groups.add(Group.objects.get(name="owner"))
    return person


def left(point, *, due=-LATE, **what):
    at = timezone.now() + due
    return Heal.objects.create(crash_point=point, attempt=1, fault="kill", what=what, written_at=at, due_at=at)


def again(point):
    target = point.scenario.run.campaign.target
    return start_chaos(Asked(target, "smoke", ("kill_during_event_replay",)), started_by=None, now=timezone.now())


def say(heal, person, how=HOW):
    return undo_by_hand(heal.pk, how=how, person=person, now=timezone.now())


def test_it_opens_the_target_again_resolves_the_alert_and_drops_the_database(point, person, postgres_server, client):
    server = LedgerServer(postgres_server.url())
    database = asyncio.run(server.create("run"))
    heal = left(point, engine=GONE, database=database, server=server.address, target_pid=1, target_started_ticks=1)
    healing.heal_left(timezone.now())
    assert "If that machine is gone for ever" in Alert.objects.get().sentence
    with pytest.raises(CannotStrikeError, match="is shut"):
        again(point)
    client.force_login(person)
    page = client.get(point.get_absolute_url()).content.decode()
    assert reverse("gates:undone_by_hand", args=[heal.pk]) in page
    answer = client.post(reverse("gates:undone_by_hand", args=[heal.pk]), {"how": f" {HOW}\0"}, follow=True)
    assert f"Noted as undone by hand. Its database {database} is dropped." in answer.content.decode()
    assert "olga says:" in answer.content.decode()
    heal.refresh_from_db()
    assert (heal.undone_by, heal.healed_by) == (person, "by hand")
    assert heal.undone_how == f"{HOW}\ufffd\n\nIts database {database} is dropped."
    with psycopg.connect(postgres_server.url()) as connection:
        assert not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
    assert recheck(timezone.now()) == 1
    alert = Alert.objects.get()
    assert (alert.state, alert.recheck) == ("resolved", "The heal of kill was undone by hand, as olga says.")
    assert again(point).state == "running"
    run = point.scenario.run
    assert "0 of 1 faults healed, 1 undone by hand" in client.get(run.get_absolute_url()).content.decode()
    heals = client.get(reverse("gates:run_json", args=[run.pk])).json()["totals"]["heals"]
    assert heals == {"written": 1, "healed": 0, "undone_by_hand": 1}
    twin = client.get(reverse("gates:crash_point_json", args=[point.pk])).json()["heals"][0]
    assert (twin["undone_by"], twin["undone_how"]) == ("olga", heal.undone_how)


def test_a_tick_that_could_not_undo_it_meanwhile_keeps_its_alert_no_longer(point, person, monkeypatch):
    heal = left(point, engine=GONE)
    dropping = undone_by_hand._database

    def drop(heal):
        healing.heal_left(timezone.now())  # a tick that begins behind the person's word, and ends before it is noted
        return dropping(heal)

    monkeypatch.setattr(undone_by_hand, "_database", drop)
    said_at = timezone.now()
    say(heal, person)
    heal.refresh_from_db()
    alert = Alert.objects.get()
    assert alert.state == "open"
    assert said_at < alert.last_at < heal.healed_at
    assert recheck(timezone.now()) == 1


def test_a_server_that_is_gone_as_well_leaves_its_database_and_says_so(point, person, desk_target):
    heal = left(point, engine=GONE, database="wartest_cell_0123456789ab_1_1_1_run", server="10.0.0.7:5432")
    assert "could not be dropped from here: its database" in say(heal, person)
    heal.refresh_from_db()
    assert heal.healed_at is not None
    assert "is on 10.0.0.7:5432" in heal.undone_how


def test_all_that_its_engine_made_is_dropped_unless_that_is_seen_at_work(point, person, postgres_server):
    mine, others, stranger = (
        "wartest_cell_0123456789ab_17_1_",
        ("3_run", "4_run", "1_kept"),
        "wartest_cell_0123456789ab_18_1_1_kept",
    )
    first, second, kept = (mine + word for word in others)
    for name in (first, second, kept, stranger):
        postgres_server.create_database(name)

    def left_there():
        with psycopg.connect(postgres_server.url()) as connection:
            found = connection.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, 'wartest_cell_01234')"
            )
            return {name for (name,) in found}

    CrashPoint.objects.filter(pk=point.pk).update(attempt=2, worker=GONE, lease_until=timezone.now() + LATE)
    assert say(left(point, engine=GONE, database=first), person) == f"Its database {first} is dropped."
    assert left_there() == {second, kept, stranger}
    CrashPoint.objects.filter(pk=point.pk).update(lease_until=None)
    words = f"Its database {second} is dropped. All else that its engine had made there is dropped too: 1."
    assert say(left(point, engine=GONE, database=second), person) == words
    assert left_there() == {stranger}
    asyncio.run(LedgerServer(postgres_server.url()).drop(stranger))


def test_what_runs_here_is_ended_and_nobodys_word_is_taken_for_what_outlives_it(point, person, monkeypatch):
    target = subprocess.Popen((sys.executable, "-c", "import time; time.sleep(60)"))
    try:
        here = {"engine": workers.identity(), "target_pid": target.pid, "target_started_ticks": start_ticks(target.pid)}
        heal = left(point, **here)

        async def outlives(*_):
            raise TimeoutError

        with monkeypatch.context() as patched:
            patched.setattr(healing, "end_all", outlives)
            with pytest.raises(NotUndoneError, match=r"It is not undone: process .* outlives a kill"):
                say(heal, person)
        heal.refresh_from_db()
        assert heal.healed_at is None
        assert say(heal, person) == ""
        assert target.wait(30) == -9
    finally:
        target.kill()
        target.wait(30)


def test_it_is_not_said_too_early_twice_or_without_words(point, person):
    with pytest.raises(NotUndoneError, match="still follows it"):
        say(left(point, due=LATE, engine=GONE), person)
    heal = left(point, engine=GONE)
    CrashPoint.objects.filter(pk=point.pk).update(lease_until=timezone.now() + LATE)
    with pytest.raises(NotUndoneError, match="still follows it"):
        say(heal, person)
    CrashPoint.objects.filter(pk=point.pk).update(lease_until=None)
    with pytest.raises(NotUndoneError, match="Say how it was undone"):
        say(heal, person, how="  ")
    heal.refresh_from_db()
    assert heal.healed_at is None
    say(heal, person)
    with pytest.raises(NotUndoneError, match="Heal of kill was undone at"):
        say(heal, person)


def test_it_takes_a_permission_and_a_post(point, person, client):
    address = reverse("gates:undone_by_hand", args=[left(point, engine=GONE).pk])
    assert client.post(address, {"how": HOW})["Location"].startswith(reverse("account_login"))
    auditor = User.objects.create_user("ada")
    auditor.groups.add(Group.objects.get(name="auditor"))
    client.force_login(auditor)
    assert client.post(address, {"how": HOW}).status_code == 403
    assert address not in client.get(point.get_absolute_url()).content.decode()
    client.force_login(person)
    assert client.get(address).status_code == 405
    assert client.post(reverse("gates:undone_by_hand", args=[0]), {"how": HOW}).status_code == 404
    assert not Heal.objects.exclude(healed_at=None).exists()


def test_who_said_it_stays_and_nobody_says_it_without_words(point, person):
    heal = left(point, engine=GONE)
    with pytest.raises(IntegrityError, match="undone_by_hand_says_how"), transaction.atomic():
        Heal.objects.filter(pk=heal.pk).update(healed_at=timezone.now(), undone_by=person)
    say(heal, person)
    with pytest.raises(ProgrammingError, match="Cannot update"), transaction.atomic():
        Heal.objects.filter(pk=heal.pk).update(undone_how="something else")
