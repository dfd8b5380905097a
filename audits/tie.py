"""The tie: whether a ledger and its broker are of the same last transaction. Pure.

A ledger books a fill a moment after the broker made it. Comparing balances in between would be a false alarm, so the
two are compared only when nothing that the ledger must book lies between them; a ledger that stays behind is one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from audits.contract import ACCOUNTS, BALANCE_EVENTS, EXECUTIONS, Relation
from audits.sources import LedgerMoment
from audits.transactions import FILL, Record, change_of, exact, number_of

NAMED_IDS = 20  # how many ids a sentence and the manifest name


@dataclass(frozen=True, slots=True)
class Tie:
    """Whether the two books are tied; else why not, and which broker transactions the ledger has not booked.

    `lasting` says that the same transactions were missing from the first reading to the last, `waited_s` later: the
    ledger is behind. Without it the broker only kept moving.
    """

    tied: bool
    reason: str
    behind: tuple[str, ...]
    lasting: bool
    waited_s: float

    @classmethod
    def judged(cls, has_broker: bool, first: Sequence[str], last: Sequence[str], waited_s: float) -> "Tie":
        """Judge from what was unbooked at the first reading and at the last, `waited_s` apart."""
        waited_s = round(waited_s, 3)
        if not has_broker:
            return cls(False, "no broker was read", (), False, waited_s)
        if not last:
            return cls(True, "", (), False, waited_s)
        lasting = tuple(number for number in last if number in set(first))
        named = _named(lasting or last)
        if lasting:
            reason = f"the ledger is behind the broker by the transactions {named} after {waited_s} s"
        else:
            reason = f"the broker kept moving: the transactions {named} were new at each of the readings"
        return cls(False, reason, (lasting or tuple(last))[:NAMED_IDS], bool(lasting), waited_s)

    @classmethod
    def read(cls, entry: dict[str, Any]) -> "Tie":
        """Read it back from a manifest."""
        return cls(
            tied=bool(entry["tied"]),
            reason=str(entry["reason"]),
            behind=tuple(str(number) for number in entry["behind"]),
            lasting=bool(entry["lasting"]),
            waited_s=float(entry["waited_s"]),
        )


@dataclass(frozen=True, slots=True)
class Booked:
    """What a ledger has booked: broker transaction ids, its opening balances, and whether executions name ids."""

    ids: frozenset[str]
    opening_balances: tuple[Decimal, ...]
    names_fills: bool

    @classmethod
    def at(cls, moment: LedgerMoment, relations: Sequence[Relation]) -> "Booked":
        """Read it from one moment of the ledger; relations that are not asked for count as empty."""
        executions = _column(moment, relations, EXECUTIONS, "broker_transaction_id")
        events = _column(moment, relations, BALANCE_EVENTS, "broker_transaction_id")
        opening = _column(moment, relations, ACCOUNTS, "opening_balance")
        named = {number for number in executions if number is not None}
        ids = frozenset(named | {number for number in events if number is not None})
        return cls(ids, tuple(opening), names_fills=bool(named) or not executions)


def behind_ids(booked: Booked, transactions: Sequence[Record]) -> tuple[str, ...]:
    """Return the ids after the ledger's last booked one that it must book: money moved, or a fill.

    A ledger that has booked nothing yet stands at the first transaction that left its opening balance. A ledger whose
    executions never name a transaction cannot book a fill without money by id, so such a fill is not waited for.
    """
    numbers = [int(number) for number in booked.ids if number.isascii() and number.isdigit()]
    last = max(numbers, default=_opened_at(booked, transactions))
    return tuple(
        str(record["id"])
        for record in transactions
        if number_of(record) > last and (change_of(record) != 0 or (booked.names_fills and record.get("type") == FILL))
    )


def _opened_at(booked: Booked, transactions: Iterable[Record]) -> int:
    for record in transactions:
        balance = exact(record, "accountBalance")
        if balance is not None and balance in booked.opening_balances:
            return number_of(record)
    return 0


def _column(moment: LedgerMoment, relations: Sequence[Relation], relation: Relation, name: str) -> list[Any]:
    if relation not in relations:
        return []
    index = [column.name for column in relation.columns].index(name)
    return [row[index] for batch in moment.rows(relation) for row in batch]


def _named(numbers: Sequence[str]) -> str:
    more = len(numbers) - NAMED_IDS
    return ", ".join(numbers[:NAMED_IDS]) + (f" and {more} more" if more > 0 else "")
