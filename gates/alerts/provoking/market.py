"""What is done at the broker: stops that are not executed, trades of another hand, slow answers."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gates.alerts.provoking.place import Place

Did = dict[str, Any]  # what was done, by which its alert is told from any other

BELOW = ("1.0985", "1.0986")  # far below the stop
STILL_BELOW = ("1.0985", "1.0987")
SLOW_MS = 1300


@contextmanager
def stop_withheld(place: Place) -> Iterator[Did]:
    """The price goes through a stop, and the broker executes nothing until the block ends."""
    trade = place.open()
    place.fault({"kind": "withhold_stops"})
    try:
        place.price(*BELOW)
        yield {"order": trade["stopLossOrder"]["id"]}
    finally:
        place.no_fault()


@contextmanager
def stop_let_go_late(place: Place) -> Iterator[Did]:
    """What was withheld is executed by the next price; a stop touched and held for half a second where nothing was."""
    waiting = [order for order in place.broker("GET", "/pendingOrders")["orders"] if order["type"] == "STOP_LOSS"]
    if not waiting:
        with stop_withheld(place) as did:
            time.sleep(0.5)
        waiting = [{"id": did["order"]}]
    place.price(*STILL_BELOW)
    yield {"orders": [order["id"] for order in waiting]}


def stop_in_time(place: Place) -> None:
    """Open another position and have its stop executed at once: the clean look that both rules of stops wait for."""
    place.open()
    place.price(*BELOW)


def higher_stop_in_time(place: Place) -> None:
    """Have a stop above those of `place.open()` executed at once, at a price that does not reach theirs."""
    place.open("1.10036", "1.10044")
    place.price("1.10000", "1.10004")


@contextmanager
def trade_of_another_hand(place: Place) -> Iterator[Did]:
    """A trade is opened past the desk, which is stopped so that it cannot book it before the block ends."""
    os.kill(place.pid, signal.SIGSTOP)
    try:
        order = {"type": "MARKET", "instrument": "EUR_USD", "units": "7"}
        told = place.broker("POST", "/orders", {"order": order})
        yield {"trade": told["orderFillTransaction"]["tradeOpened"]["tradeID"]}
    finally:
        os.kill(place.pid, signal.SIGCONT)


@contextmanager
def slow_reads(place: Place) -> Iterator[Did]:
    """Every read of the broker takes longer than a reconciliation may, and than the desk's answers ever took."""
    place.fault({"kind": "late", "delay_ms": SLOW_MS, "method": "GET"})
    try:
        yield {"ms": SLOW_MS}
    finally:
        place.no_fault()
