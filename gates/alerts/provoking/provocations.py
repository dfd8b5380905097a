"""Which provocation raises which of the thirteen rules, and how an alert shows that it was raised for this cause.

In an order in which none raises a rule that another one is for: what is compared with earlier behaviour comes before
what changes that, and the crash comes last.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from gates.alerts.provoking import books, machine, market
from gates.alerts.provoking.market import Did
from gates.alerts.provoking.place import Place

Cause = Mapping[str, Any]
Names = Callable[[Cause, Did], bool]


def _nothing(place: Place) -> None:
    """Nothing needs to be done."""


@dataclass(frozen=True, slots=True)
class Provocation:
    """Something done for real. `raises` says of each rule it is for whether an alert's cause names what was done.

    `after`: what the watch must say of a rule before it is begun, for what is compared with earlier behaviour.
    `again` is done until the alert is there; `clean` until it is resolved, where a clean look needs something to see.
    `lasts`: it goes on until it is undone, so that no alert of it may be resolved before. `at_last`: it ends what the
    others were done to, so that they must be resolved before it is begun.
    """

    what: str
    raises: Mapping[str, Names]
    begin: Callable[[Place], AbstractContextManager[Did]]
    after: Mapping[str, str] = field(default_factory=dict)
    again: Callable[[Place], None] = _nothing
    clean: Callable[[Place], None] = _nothing
    lasts: bool = True
    at_last: bool = False


PROVOCATIONS: tuple[Provocation, ...] = (
    Provocation(
        "the price goes through a stop, its execution is withheld at the broker",
        {"missed SL/TP trigger": lambda cause, did: cause.get("order_id") == did["order"]},
        market.stop_withheld,
        clean=market.stop_in_time,
    ),
    Provocation(
        "the withheld stop is executed seconds late",
        {"SL/TP latency > 100 ms": lambda cause, did: cause.get("order_id") in did["orders"]},
        market.stop_let_go_late,
        clean=market.stop_in_time,
        lasts=False,
    ),
    Provocation(
        "the server ends the ledger's sessions by force, again and again, and the desk warns of it",
        {
            "database connection issues": lambda cause, did: cause.get("killed", 0) >= 1 <= did["sessions"],
            "warning count rising": lambda cause, did: "does not answer" in cause.get("line", ""),
        },
        books.sessions_cut,
        after={"warning count rising": "no rise"},
        again=books.cut_again,
        lasts=False,
    ),
    Provocation(
        f"every read of the broker takes {market.SLOW_MS} ms",
        {
            "reconciliation latency > 1 s": lambda cause, did: float(cause.get("duration_ms", 0)) >= did["ms"],
            "performance degradation": lambda cause, did: cause.get("lately_ms", [0])[-1] >= did["ms"],
        },
        market.slow_reads,
        after={"performance degradation": "as before"},
    ),
    Provocation(
        "a cent is added to the balance in the ledger",
        {
            "balance equation violation": lambda cause, did: cause.get("account_id") == did["account"],
            "reconciliation mismatch": lambda cause, did: bool(cause.get("reconciliation_id")),
        },
        books.cent_too_much,
    ),
    Provocation(
        "a trade is opened at the broker past the desk",
        {"orphaned position": lambda cause, did: cause.get("key") == f"trade {did['trade']}"},
        market.trade_of_another_hand,
    ),
    Provocation(
        "a position is given a profit that its events do not tell",
        {"event replay failure": lambda cause, did: cause.get("position_id") == did["position"]},
        books.profit_without_event,
    ),
    Provocation(
        "a lock is held on the accounts",
        {"slow queries": lambda cause, did: cause.get("blocked_by") == [did["holder"]]},
        books.lock_held,
    ),
    Provocation(
        "the desk is asked for nothing as fast as it answers",
        {"resource use > 80 %": lambda cause, did: cause.get("resource") == "processor"},
        machine.nothing_yet,
        after={"resource use > 80 %": "processor"},
        again=machine.asked_for_nothing,
        lasts=False,
    ),
    Provocation(
        "the desk is killed",
        {"system crash": lambda cause, did: cause.get("pid") == did["pid"]},
        machine.killed,
        at_last=True,
    ),
)
