"""From an event to whoever must hear of it: all thirteen rules, to a web hook and a mailbox.

With `--scale` (1, 10, 100) targets running, each rule is provoked on each target (`alerts_provoking.py` says how, and
what of it is real), the watch sees it, an alert is raised, and each alert goes to a web receiver and a mail receiver on
loopback. Then a storm: 10,000 events of a hundred targets are raised in batches, as fast as they can be, and the market
goes on on ten targets.

Measured: from the event (the broker's clock where the rule is about the market, else the moment of the row, the signal
or the line) to `raised_at`, and to the moment at which each receiver had the whole message. `lost`: events that no
alert counts, and messages that a receiver never got. The simulator, the targets' servers and processes, both receivers
and this program share the processors with what is measured. Not measured: a real broker's network, a real mail server.
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
from wartest_site.benchmarks.alerts_provoking import MARKET, Moments, await_warm, provoke
from wartest_site.benchmarks.alerts_scrape import scrape
from wartest_site.benchmarks.alerts_targets import ground
from wartest_site.benchmarks.premises import Portal, own_portal
from wartest_site.benchmarks.receivers import Receiver, mail_receiver, web_receiver
from wartest_site.embedded.children import CannotStartError
from wartest_site.environment import BASE_DIR
from wartest_site.launch import delivery_process, streams_process
from wartest_site.supervisor import Child, Supervisor

SCALE = 100
ROUNDS = 3  # with one target; fewer where there are many
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
    by_rule: dict[str, list[float]] = field(default_factory=dict)
    lost: int = 0

    def add(self, other: "Seen") -> None:
        self.raised += other.raised
        self.delivered += other.delivered
        for rule, values in other.by_rule.items():
            self.by_rule.setdefault(rule, []).extend(values)
        self.lost += other.lost


def measure(scale: int, say: Say) -> Figures:
    """Return `event_to_raised_…`, `event_to_delivered_…`, `lost`, the same in the storm, and the idle load."""
    rounds = max(1, ROUNDS // scale)
    stormed = min(scale, STORM_TARGETS)
    with (
        own_portal() as portal,
        ground(portal.home, rounds * scale + stormed) as settled,
        web_receiver() as web,
        mail_receiver() as mail,
        _running(portal, web, mail, say) as parts,
    ):
        children, place = parts
        everything, figures = Seen(), Figures()
        for number in range(rounds):
            runs = follow(place, settled, scale)
            await_warm(runs)
            if number == 0:
                figures |= _idle(children, say) | scrape(runs, say)
            moments = provoke(place, runs, settled.targets[-scale:])
            everything.add(_arrived(moments, (web, mail)))
            leave(runs)
        for rule in sorted(everything.by_rule, key=lambda rule: -max(everything.by_rule[rule])):
            say(f"{rule}: delivered {_words(everything.by_rule[rule])}")
        say(f"raised {_words(everything.raised)}; delivered {_words(everything.delivered)}; lost {everything.lost}")
        storm = _storm(portal, place, follow(place, settled, stormed), (web, mail), say)
        return {
            "targets": scale,
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


def _arrived(moments: Moments, receivers: tuple[Receiver, ...]) -> Seen:
    """Wait until each event has its alert and all of their messages came; say how long it took."""
    alerts = Alert.objects.filter(run__in={run_id for run_id, _ in moments}, rule__in={rule for _, rule in moments})
    ends = time.monotonic() + DELIVERED_LIMIT_S
    while alerts.count() < len(moments) or Delivery.objects.filter(alert__in=alerts, state="waiting").exists():
        if time.monotonic() > ends:
            break
        time.sleep(0.2)
    seen, came = Seen(), _came(receivers)
    found = {(alert.run_id, alert.rule): alert for alert in alerts.prefetch_related("deliveries")}
    for key, moment in moments.items():
        if key not in found:
            seen.lost += len(receivers)
            continue
        alert, at = found[key], moment or found[key].event_at
        seen.raised.append(_ms(at, alert.raised_at))
        first = f"alert-{alert.pk}-1-raised"  # one that was resolved and came back was told once more
        arrivals = [came.get(row.key) for row in alert.deliveries.all() if row.key.startswith(first)]
        told = [_ms(at, arrived) for arrived in arrivals if arrived is not None]
        seen.lost += len(receivers) - len(told)
        seen.delivered += told
        seen.by_rule.setdefault(alert.rule, []).extend(told)
    return seen


def _came(receivers: tuple[Receiver, ...]) -> dict[str, datetime]:
    """When each message was there first, by its key."""
    came: dict[str, datetime] = {}
    for receiver in receivers:
        for each in list(receiver.received):
            came.setdefault(each.key, each.at)
    return came


def _storm(portal: Portal, place: Market, runs: list[Run], receivers: tuple[Receiver, ...], say: Say) -> Seen:
    """Have 10,000 events of many targets raised by another process while the market provokes critical alerts."""
    began = time.monotonic()
    argv = [sys.executable, "-m", "wartest_site.benchmarks.alerts_storm", str(STORM_EVENTS), str(STORM_RULES)]
    storm = subprocess.Popen(argv, cwd=BASE_DIR, env=os.environ | portal.env)  # noqa: S603 - argv is ours
    place.fall(len(runs))
    storm.wait(DELIVERED_LIMIT_S)
    say(f"storm: {STORM_EVENTS} events raised within {time.monotonic() - began:.1f} s, the start of a process included")
    seen = _arrived({(run.pk, rule): None for run in runs for rule in MARKET}, receivers)
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
