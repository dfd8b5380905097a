"""The tie: whether a ledger and its broker are of the same last transaction. Pure.

A ledger books a fill a moment after the broker made it. Comparing balances in between would be a false alarm, so the
two are compared only when nothing that the ledger must book lies between them; a ledger that stays behind is one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from audits.contract import ACCOUNTS, BALANCE_EVENTS, EXECUTIONS, Relation
from audits.exact_columns import rows_of
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
    """What a ledger has booked: its last broker transaction, its opening balances, whether executions name fills.

    `last` is None where nothing that it booked names a broker transaction.
    """

    last: int | None
    opening_balances: tuple[Decimal, ...]
    names_fills: bool

    @classmethod
    def at(cls, moment: LedgerMoment, relations: Sequence[Relation], broker_account_id: str) -> "Booked":
        """Read it from one moment of the ledger. Where executions are not asked for, a fill that moved no money cannot
        be told from one that was not booked, and is not waited for.

        A ledger of several accounts is looked at for the broker's account only, if it has one of that id.
        """
        accounts = _accounts(moment) if ACCOUNTS in relations else {}
        account_id = broker_account_id if broker_account_id in accounts else None
        opening = [accounts[account_id]] if account_id else list(accounts.values())
        last = {
            relation.name: moment.last_number(relation, "broker_transaction_id", account_id)
            for relation in (EXECUTIONS, BALANCE_EVENTS)
            if relation in relations
        }
        booked = [number for number in last.values() if number is not None]
        fills_named = last.get(EXECUTIONS.name) is not None
        no_fills = EXECUTIONS in relations and not moment.count(EXECUTIONS)
        return cls(max(booked, default=None), tuple(opening), fills_named or no_fills)


def behind_ids(booked: Booked, transactions: Sequence[Record]) -> tuple[str, ...]:
    """Return the ids after the ledger's last booked one that it must book: money moved, or a fill.

    A ledger that has booked nothing yet stands at the first transaction that left its opening balance. A ledger whose
    executions never name a transaction cannot book a fill without money by id, so such a fill is not waited for.
    """
    last = _opened_at(booked, transactions) if booked.last is None else booked.last
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


def _accounts(moment: LedgerMoment) -> dict[str, Decimal]:
    """Return the opening balance of each account."""
    names = [column.name for column in ACCOUNTS.columns]
    key, opening = names.index("account_id"), names.index("opening_balance")
    return {row[key]: row[opening] for batch in moment.rows(ACCOUNTS) for row in rows_of(ACCOUNTS, batch)}


def _named(numbers: Sequence[str]) -> str:
    more = len(numbers) - NAMED_IDS
    return ", ".join(numbers[:NAMED_IDS]) + (f" and {more} more" if more > 0 else "")
