"""Provoking: the steps that make a defect show, carried out one after the other."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg

from audits.sources.oanda import OandaReader
from audits.transactions import required
from gates.checks import health, ledger
from gates.checks.growth import judge_growth
from gates.checks.ledger import Reconciling
from gates.detection.catalogue import Step
from gates.detection.ground import Desk
from gates.detection.judgement import Judged, said_by
from gates.live_capital.limits import judge_orders
from gates.live_capital.terms import Terms

KILL_AFTER_S = 0.7
KILL_STARTED_AFTER_S = 1.0
HEALTH_EVERY_S = 0.3
POSITIONS_EVERY_S = 4.0
RECONCILIATION_LIMIT_MS = 1000
ORDERS_EVERY_S = 0.5
INSTRUMENTS = ("EUR_USD", "GBP_USD", "USD_JPY")
ORDER_SIZE = Decimal(2000)  # the largest that the clean desk opens
ORDERS_PER_MINUTE = 120  # of a rehearsal's plan


def provoke(desk: Desk, steps: Iterable[Step]) -> Judged:
    """Carry out the steps; what gate 1 says where it watched, and gate 4 where it went live.

    Raises GroundError, BrokerError, psycopg.Error.

    An operation that fails is no mistake here: it is what some of the steps are for.
    """
    seen = Judged()
    for step in steps:
        seen = seen.and_also(_WAYS[step.do](desk, step) or Judged())
    return seen


def _ask(desk: Desk, step: Step) -> None:
    desk.ask(step.what, step.body)


def _tick(desk: Desk, step: Step) -> None:
    desk.ground.told("POST", "/ticks", step.body)


def _control(desk: Desk, step: Step) -> None:
    desk.ground.told("POST", step.what, step.body)


def _heal(desk: Desk, _step: Step) -> None:
    desk.ground.told("DELETE", "/faults")


def _kill(desk: Desk, _step: Step) -> None:
    desk.kill()


def _start(desk: Desk, _step: Step) -> None:
    desk.kill()
    desk.begin(well=False)


def _killed_ask(desk: Desk, step: Step) -> None:
    body = {name: value for name, value in step.body.items() if name != "after_s"}
    asking = threading.Thread(target=desk.ask, args=(step.what, body))
    asking.start()
    time.sleep(step.body.get("after_s", KILL_AFTER_S))
    desk.kill()
    asking.join()


def _killed_start(desk: Desk, step: Step) -> None:
    _start(desk, step)
    time.sleep(step.body.get("after_s", KILL_STARTED_AFTER_S))
    desk.kill()


def _wait(_desk: Desk, step: Step) -> None:
    time.sleep(step.body["for_s"])


def _sql(desk: Desk, step: Step) -> None:
    with psycopg.connect(desk.database_url, autocommit=True) as connection:
        connection.execute(step.what.encode())


def _watch(desk: Desk, step: Step) -> Judged:
    return watched(desk, step.body["for_s"])


def watched(desk: Desk, for_s: float) -> Judged:
    """Look at the desk as gate 1 does, again and again; ends early with the first findings.

    A check whose last look proves nothing is silent.
    """
    healthy = compared = Judged()
    reconciling = Reconciling(since=datetime.now(UTC), limit_ms=RECONCILIATION_LIMIT_MS, known=())
    samples: list[dict[str, Any]] = []
    ends = time.monotonic() + for_s
    compared_at = time.monotonic()
    while time.monotonic() < ends:
        seen = health.observe(desk.access)
        samples.append(seen)
        healthy = said_by("health", health.judge(seen, desk.baseline)).and_also(Judged(judge_growth(samples)))
        if not healthy.findings and time.monotonic() > compared_at + POSITIONS_EVERY_S:
            compared = said_by("positions", ledger.positions(desk.access, reconciling))
            compared_at = time.monotonic()
        if healthy.findings or compared.findings:
            break
        time.sleep(HEALTH_EVERY_S)
    return healthy.and_also(compared)


def _live(desk: Desk, step: Step) -> Judged:
    return gone_live(desk, step.body["for_s"])


def gone_live(desk: Desk, for_s: float) -> Judged:
    """Let the desk trade by its switch and look at its orders as gate 4 does; ends early with the first findings.

    No order seen is silent. Raises GroundError, BrokerError.
    """
    day = datetime.now(UTC).date()
    plan = Terms(
        amount=Decimal(500),
        instruments=INSTRUMENTS,
        order_size=ORDER_SIZE,
        orders_per_minute=ORDERS_PER_MINUTE,
        daily_loss=Decimal(25),
        total_loss=Decimal(100),
        ends_on=day + timedelta(days=1),
    )
    access = desk.access
    with OandaReader(access.broker_url, access.broker_account, access.broker_token) as broker:
        since = int(required(broker.summary(), "lastTransactionID"))
        desk.trade(running=True)
        ends = time.monotonic() + for_s
        while True:
            orders = judge_orders(plan, broker.transactions(since), since)
            if orders.findings or time.monotonic() > ends:
                break
            time.sleep(ORDERS_EVERY_S)
    return Judged(orders.findings, () if orders.count else ("limits: the desk sent no order",))


_WAYS: Mapping[str, Callable[[Desk, Step], Judged | None]] = {
    "ask": _ask,
    "tick": _tick,
    "control": _control,
    "heal": _heal,
    "kill": _kill,
    "start": _start,
    "killed_ask": _killed_ask,
    "killed_start": _killed_start,
    "wait": _wait,
    "sql": _sql,
    "watch": _watch,
    "live": _live,
}
