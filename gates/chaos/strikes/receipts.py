"""Receipts as they are kept: the proof that a strike was made, and what the target answered to it."""

from collections.abc import Mapping
from typing import Any

from gates.chaos.cells.target import Answer
from gates.chaos.messages import Receipt, Strike
from gates.chaos.strikes.outlasting import KEEPS_WAITING
from gates.chaos.strikes.settling import RECOVERY_LIMIT_S
from gates.chaos.strikes.staleness import FIRST_STALE
from gates.chaos.strikes.striking import Hit


def waited_for_ever(receipt: Receipt | None) -> bool:
    """Whether a target never gave up a connection that was silent for as long as a recovery may take."""
    if receipt is None or receipt.strike is not Strike.STALL:
        return False
    return not receipt.proof["target_hung_up"] and float(receipt.proof["stall_ms"]) >= RECOVERY_LIMIT_S * 1000


def has_deviated(receipt: Receipt | None) -> bool:
    """Whether a Chaos Toolkit experiment found its own steady state gone after its method."""
    return bool(receipt and receipt.strike is Strike.EXPERIMENT and receipt.proof["deviated"])


def receipt_shape(hit: Hit, receipt: Receipt) -> dict[str, Any]:
    """The receipt as JSON, with what the target answered, and how it gave up where it was kept waiting."""
    ended = {"gave_up": hit.gave_up} if receipt.strike in KEEPS_WAITING else {}
    return proof_shape(receipt) | {"target_answered": hit.answer.status, "target_said": words_of(hit.answer)} | ended


def proof_shape(receipt: Receipt) -> dict[str, Any]:
    """A receipt as JSON. Of look-ups that alone were stale, which no proxy struck, `message` is the first of them."""
    return {
        "strike": str(receipt.strike),
        "message": receipt.message.label if receipt.message else receipt.proof.get(FIRST_STALE),
        "at_s": receipt.at_s,
        "proof": dict(receipt.proof),
    }


def words_of(answer: Answer) -> str:
    """What the target said to whoever had asked, at most 300 characters."""
    body: Mapping[str, Any] = answer.body
    return str(body.get("error") or body.get("status") or body)[:300]
