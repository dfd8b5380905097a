"""Hands: what touched the target besides itself, found and not confessed. Pure.

Each finding here is a person's hand, or cannot be told from one, so it fails the run (`INTERVENTIONS`); only some are
hands for certain (`SURELY_HANDS`). What is done at the broker is judged by `gates.checks.hands`; here it is the
target's process, its build and settings, its description in the portal, its rows at rest, and the slots that judge it.

What this cannot see: a hand that writes into the ledger what the target would have written, and a change undone
between two looks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audits.findings import Finding, Level
from gates.checks import hands as at_broker

RESTART = "another process"
BUILD = "another build"
CONFIGURATION = "another configuration"
DESCRIPTION = "description changed in mid-run"
AT_REST = "row changed outside of the target"
SLOT = "slot closed by hand"
PAUSE = "portal paused"

INTERVENTIONS = frozenset(
    {
        RESTART,
        BUILD,
        CONFIGURATION,
        DESCRIPTION,
        AT_REST,
        SLOT,
        at_broker.TRANSFER,
        at_broker.ORDER,
        at_broker.CLOSE,
        at_broker.STOP,
        at_broker.SETTING,
    }
)
# Of these, what no target does itself: after them alone the build that failed may start again. Another process may be a
# crash that something restarted, a changed row an UPDATE of the target's own.
SURELY_HANDS = frozenset({DESCRIPTION, SLOT, at_broker.TRANSFER, at_broker.SETTING})


@dataclass(frozen=True, slots=True)
class Vanished:
    """Rows of one append-only relation that were seen before and are not there any more as they were.

    `changed` are ids of rows that now say something else, `deleted` how many have no row of their id any more.
    """

    relation: str
    changed: tuple[str, ...]
    deleted: int


@dataclass(frozen=True, slots=True)
class ClosedByHand:
    """A slot that was closed, and not by the one who had claimed it: why that is known."""

    slot: str
    why: str


def judge_description(baseline: Mapping[str, Any], now: str) -> tuple[Finding, ...]:
    """Compare the target's description, as a SHA-256, with that of the run's start."""
    before = baseline.get("description")
    if before is None or before == now:
        return ()
    words = "The target's description in the portal was changed in mid-run: what is judged now is not what was started."
    return (Finding(DESCRIPTION, Level.CRITICAL, words, str(before), now),)


def judge_at_rest(vanished: Sequence[Vanished]) -> tuple[Finding, ...]:
    """Rows that are only ever added were changed: a target that appends never does that, and may not."""
    found = []
    for each in vanished:
        for row_id in each.changed:
            words = f"Row {row_id} of {each.relation} was judged and says something else now: it is final once written."
            found.append(_at_rest(words, "unchanged", "changed", each.relation, row_id))
        if each.deleted:
            words = f"{each.deleted} rows of {each.relation} that were judged are not there any more."
            found.append(_at_rest(words, "0 deleted", f"{each.deleted} deleted", each.relation, ""))
    return tuple(found)


def judge_slots(closed: Sequence[ClosedByHand]) -> tuple[Finding, ...]:
    """A slot is closed by the check that claimed it, with a result, and by nothing else."""
    return tuple(
        Finding(
            SLOT,
            Level.CRITICAL,
            f"The slot {each.slot} was closed by hand: {each.why}.",
            "closed by its check",
            each.why,
            "",
            {"slot": each.slot},
        )
        for each in closed
    )


def _at_rest(words: str, expected: str, measured: str, relation: str, row_id: str) -> Finding:
    where = {"relation": relation} | ({"id": row_id} if row_id else {})
    return Finding(AT_REST, Level.CRITICAL, words, expected, measured, "", where)
