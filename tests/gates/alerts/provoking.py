"""A real desk at a real broker with a real ledger, watched by the stream process, for what is provoked there."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.db import connection
from django.utils import timezone

from gates.alerts.provoking.place import Place, provoking_place
from gates.detection.ground import Ground
from gates.models import Alert, RuleWatch
from tests.gates.rehearsal.desk.processes import ROOT, end, free_port, wait_until
from wartest_site.embedded.postgres import PostgresServer
from wartest_site.rehearsal import start


@dataclass
class Provoked:
    """What the tests provoke things on, and what became of them."""

    place: Place

    def alerts(self, rule: str) -> list[Alert]:
        return list(Alert.objects.filter(run=self.place.run, rule=rule))

    def raised(self, rule: str, count: int = 1) -> Alert:
        """Await the alert of the rule, counted at least so often; what was over in a moment may be resolved by now."""

        def found() -> Alert | None:
            return Alert.objects.filter(run=self.place.run, rule=rule, count__gte=count).first()

        alert: Alert = wait_until(found, what=f"{rule} is raised {count} times; {self.says(rule)}")
        took_s = (alert.raised_at - alert.event_at) / timedelta(seconds=1)
        sys.stdout.write(f"\n{rule}: raised {took_s:.3f} s after it happened: {alert.sentence}\n")
        return alert

    def resolved(self, alert: Alert) -> Alert:
        """Await that a clean look has resolved it, and that there was never another one."""

        def found() -> Alert | None:
            return Alert.objects.filter(pk=alert.pk, state=Alert.State.RESOLVED).first()

        done: Alert = wait_until(found, what=f"{alert.rule} is resolved; {self.says(alert.rule)}")
        assert [one.pk for one in self.alerts(alert.rule)] == [alert.pk]
        assert done.recheck
        assert done.rechecked_at is not None
        assert done.rechecked_at > done.last_at
        return done

    def says(self, rule: str) -> str:
        return ", ".join(f"{row.state}: {row.words}" for row in RuleWatch.objects.filter(run=self.place.run, rule=rule))


@contextlib.contextmanager
def provoking(server: PostgresServer, folder: Path) -> Iterator[Provoked]:
    """Start everything, and one run of it that goes on; the caller lets the test database be used."""
    ground = Ground(folder, start, server.create_database, free_port)
    with ground.running(), provoking_place(ground, "provoked", timezone.now()) as place:
        streams = _streams(server)
        try:
            watched = RuleWatch.objects.filter(run=place.run)
            wait_until(lambda: watched.count() == 13, what="the run is watched")
            yield Provoked(place)
        finally:
            end(streams)


def _streams(server: PostgresServer) -> "subprocess.Popen[bytes]":
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "wartest_site.settings",
        "DATABASE_URL": server.url(connection.settings_dict["NAME"]),
    }
    return subprocess.Popen([sys.executable, "-m", "gates.streams"], cwd=ROOT, env=env)
