"""From an event to whoever must hear of it: by the broker's own clock, to a web hook and a mailbox.

With 1, 10 and `--scale` (100) targets running, each stop is touched by the market, and executed too late or not at all;
the streams see it, an alert is raised, and each alert goes to a web receiver and a mail receiver on loopback. Then a
storm: 10,000 events of a hundred targets are raised in batches, as fast as they can be, and the market goes on.

Measured: `event_at` (the broker's clock; for a stop that is never executed, the end of its limit) to `raised_at`, and
to the moment at which each receiver had the whole message. `lost`: events that no alert counts, and messages that a
receiver never got. The simulator, both receivers and this program share the processors with what is measured. Not
measured: a real broker's network, a real mail server.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import psutil
from django.db.models import Sum
from django.utils import timezone

from gates.alerts.delivery.routes import Wanted, add_route
from gates.models import Alert, Beat, Delivery, Run
from wartest_site.benchmarks import Figures, Say
from wartest_site.benchmarks.alerts_market import Market, follow, leave, market
from wartest_site.benchmarks.premises import Portal, own_portal
from wartest_site.benchmarks.receivers import Receiver, mail_receiver, web_receiver
from wartest_site.embedded.children import CannotStartError
from wartest_site.environment import BASE_DIR
from wartest_site.launch import delivery_process, streams_process
from wartest_site.supervisor import Child, Supervisor

SCALE = 100
ROUNDS = ((1, 8), (10, 2))  # targets, how often; then once all of them
LEVELS = ("critical", "high", "medium")
STORM_EVENTS, STORM_RULES = 10_000, 5
STORM_TARGETS = 10  # on which the market goes on meanwhile
IDLE_S = 10.0
DELIVERED_LIMIT_S = 120.0


@dataclass(slots=True)
class Seen:
    """What was measured, in ms: event to raised, event to each delivery; and how many messages never came."""

    raised: list[float] = field(default_factory=list)
    delivered: list[float] = field(default_factory=list)
    lost: int = 0

    def add(self, other: "Seen") -> None:
        self.raised += other.raised
        self.delivered += other.delivered
        self.lost += other.lost


def measure(scale: int, say: Say) -> Figures:
    """Return `event_to_raised_…`, `event_to_delivered_…`, `lost`, the same in the storm, and the idle load."""
    with (
        own_portal() as portal,
        web_receiver() as web,
        mail_receiver() as mail,
        _running(portal, web, mail, say) as parts,
    ):
        children, place = parts
        everything, figures = Seen(), Figures()
        for targets, times in (*(each for each in ROUNDS if each[0] < scale), (scale, 1)):
            seen = Seen()
            for number in range(times):
                runs = follow(place, targets)
                if number == 0 and targets == scale:
                    figures |= _idle(children, say)
                place.fall(targets)
                seen.add(_arrived(runs, (web, mail), of_each=2))
                leave(runs)
            say(
                f"{targets} targets: raised {_words(seen.raised)}, delivered {_words(seen.delivered)}, lost {seen.lost}"
            )
            everything.add(seen)
        storm = _storm(portal, place, scale, (web, mail), say)
        return {
            **_figures("event_to_raised", everything.raised),
            **_figures("event_to_delivered", everything.delivered),
            **_figures("storm_event_to_delivered", storm.delivered),
            "lost": everything.lost + storm.lost,
            **figures,
        }


@contextmanager
def _running(portal: Portal, web: Receiver, mail: Receiver, say: Say) -> Iterator[tuple[dict[str, Child], Market]]:
    """The streams, the delivering process, the broker and two routes, for as long as the block runs."""
    supervisor = Supervisor(logs=portal.home / "log", cwd=BASE_DIR, say=say)
    env = portal.env | {
        "BENCH_WEB": f"json://127.0.0.1:{web.port}/",
        "BENCH_MAIL": f"mailto://127.0.0.1:{mail.port}?from=portal@example.org&to=anna@example.org",
    }
    try:
        children = {spec.name: supervisor.start(spec) for spec in (streams_process(env), delivery_process(env))}
        for name in ("web", "mail"):
            add_route(Wanted(name, f"env:BENCH_{name.upper()}", LEVELS), timezone.now())
        with market(supervisor) as place:
            _await_pulses()
            yield children, place
    finally:
        supervisor.stop()


def _await_pulses() -> None:
    ends = time.monotonic() + DELIVERED_LIMIT_S
    while Beat.objects.filter(kind__in=("streams", "delivery")).count() < 2:
        if time.monotonic() > ends:
            raise CannotStartError("streams and delivery were not ready in time")
        time.sleep(0.1)


def _idle(children: dict[str, Child], say: Say) -> Figures:
    """Return what each process takes of one processor while every target runs and nothing happens, in per cent."""
    processes = {name: psutil.Process(child.process.pid) for name, child in children.items()}
    before = {name: sum(process.cpu_times()[:2]) for name, process in processes.items()}
    time.sleep(IDLE_S)
    figures = {
        f"idle_{name}_cpu_pct": round((sum(process.cpu_times()[:2]) - before[name]) / IDLE_S * 100, 2)
        for name, process in processes.items()
    }
    say(f"idle: {figures}")
    return figures


def _arrived(runs: list[Run], receivers: tuple[Receiver, ...], *, of_each: int) -> Seen:
    """Wait until each run has `of_each` alerts of the market and all of their messages came; say how long it took."""
    alerts = Alert.objects.filter(run__in=[run.pk for run in runs], level__in=("critical", "high"))
    wanted = of_each * len(runs)
    ends = time.monotonic() + DELIVERED_LIMIT_S
    while alerts.count() < wanted or Delivery.objects.filter(alert__in=alerts, state="waiting").exists():
        if time.monotonic() > ends:
            break
        time.sleep(0.2)
    seen = Seen(lost=max(0, wanted - alerts.count()) * len(receivers))
    came = _came(receivers)
    for alert in alerts.prefetch_related("deliveries"):
        seen.raised.append(_ms(alert.event_at, alert.raised_at))
        for row in alert.deliveries.all():
            at = came.get(row.key)
            if at is None:
                seen.lost += 1
            else:
                seen.delivered.append(_ms(alert.event_at, at))
    return seen


def _came(receivers: tuple[Receiver, ...]) -> dict[str, datetime]:
    """When each message was there first, by its key."""
    came: dict[str, datetime] = {}
    for receiver in receivers:
        for each in list(receiver.received):
            came.setdefault(each.key, each.at)
    return came


def _storm(portal: Portal, place: Market, scale: int, receivers: tuple[Receiver, ...], say: Say) -> Seen:
    """Have 10,000 events of many targets raised by another process while the market provokes critical alerts."""
    runs, began = follow(place, min(scale, STORM_TARGETS)), time.monotonic()
    argv = [sys.executable, "-m", "wartest_site.benchmarks.alerts_storm", str(STORM_EVENTS), str(STORM_RULES)]
    storm = subprocess.Popen(argv, cwd=BASE_DIR, env=os.environ | portal.env)  # noqa: S603 - argv is ours
    place.fall(len(runs))
    storm.wait(DELIVERED_LIMIT_S)
    say(f"storm: {STORM_EVENTS} events raised within {time.monotonic() - began:.1f} s, the start of a process included")
    seen = _arrived(runs, receivers, of_each=2)
    ends = time.monotonic() + DELIVERED_LIMIT_S
    while Delivery.objects.filter(state="waiting").exists() and time.monotonic() < ends:
        time.sleep(0.2)
    stormed, came = Alert.objects.filter(rule__startswith="storm "), _came(receivers)
    counted = stormed.aggregate(events=Sum("count"))["events"] or 0
    missing = [key for key in Delivery.objects.values_list("key", flat=True) if key not in came]
    seen.lost += STORM_EVENTS - counted + len(missing)
    say(f"storm: {stormed.count()} alerts, those of the market delivered {_words(seen.delivered)}, lost {seen.lost}")
    leave(runs)
    return seen


def _words(values: list[float]) -> str:
    if not values:
        return "nothing"
    return f"p50 {_quantile(values, 50):.0f} ms, p99 {_quantile(values, 99):.0f} ms, max {max(values):.0f} ms"


def _figures(name: str, values: list[float]) -> Figures:
    if not values:
        return {}
    shown = {"p50": _quantile(values, 50), "p99": _quantile(values, 99), "max": max(values)}
    return {f"{name}_{what}_ms": round(value, 1) for what, value in shown.items()}


def _quantile(values: list[float], per_cent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[per_cent - 1] if len(values) > 1 else values[0]


def _ms(since: datetime, until: datetime) -> float:
    return (until - since).total_seconds() * 1000
