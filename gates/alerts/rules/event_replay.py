"""Stored state that its own events do not amount to."""

from gates.alerts.rules.observed import Observed, PositionSeen
from gates.alerts.rules.rule import Breach, Judgement, Rule, Runbook, Thresholds, judged, unseen


def judge(seen: Observed, limits: Thresholds) -> Judgement:
    """Of each position that is open or changed lately: units, profit and status, exactly as its events tell them."""
    if seen.books is None:
        return unseen(seen.why_unseen("books"))
    if not seen.books.positions:
        return unseen("no position is open or changed lately")
    found = tuple(
        Breach(
            key=position.position_id,
            sentence=f"Position {position.position_id}: {words}.",
            event_at=seen.since("books"),
            threshold="equal to the last digit",
            cause={"position_id": position.position_id},
        )
        for position in seen.books.positions
        if (words := _differs(position))
    )
    return judged(found, f"{len(seen.books.positions)} positions are what their events amount to.")


def _differs(position: PositionSeen) -> str:
    pairs = (
        ("units open", position.units_open, position.told_units),
        ("profit", position.realized_pnl, position.told_pnl),
        ("status", position.status, position.told_status),
    )
    return ", ".join(f"its {name} is {stored}, its events say {told}" for name, stored, told in pairs if stored != told)


RULE = Rule(
    name="event replay failure",
    level="high",
    watches="the ledger's open and latest positions against their own events; all of them by the integrity slots",
    thresholds=(),
    rechecked_by="the same positions are what their events amount to; what a slot found, by a later slot of its kind",
    runbook=Runbook(
        means="After a restart the target would rebuild another state than the one it trades on now.",
        look_at="the position's events in order, and which change of its row has none",
        leave_alone="do not restart the target before its state now is kept: a replay would write over it",
    ),
    judge=judge,
)
