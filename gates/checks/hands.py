"""Hands: what was done at the broker that the target did not send. Pure.

A target commits to an order before it sends it, so its books show an intent that is older than the broker's record. A
row that was written later took the order over from the broker: somebody else placed it. Money that moves and settings
that change are never the target's doing.

What cannot be told from the two books is not judged here: who cancelled a pending order over the same interface.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from audits.findings import Finding, Level
from audits.transactions import Record, change_of, moment_of, required

TRANSFER = "money moved by hand"
ORDER = "order that the target did not send"
CLOSE = "position closed by hand"
STOP = "stop changed by hand"
SETTING = "account changed by hand"

ORDER_TYPES = frozenset({"MARKET_ORDER", "LIMIT_ORDER", "STOP_ORDER", "MARKET_IF_TOUCHED_ORDER", "FIXED_PRICE_ORDER"})
STOP_TYPES = frozenset(
    {"STOP_LOSS_ORDER", "TAKE_PROFIT_ORDER", "TRAILING_STOP_LOSS_ORDER", "GUARANTEED_STOP_LOSS_ORDER"}
)
ASKED_FOR = frozenset({"CLIENT_ORDER", "REPLACEMENT", "TRADE_CLOSE", "POSITION_CLOSEOUT"})
CLOSES = frozenset({"TRADE_CLOSE", "POSITION_CLOSEOUT"})
SETTINGS = frozenset({"CLIENT_CONFIGURE", "RESET_RESETTABLE_PL", "CLOSE", "REOPEN"})


MOST_NAMED = 5
CLOCKS_APART = timedelta(seconds=5)  # as much as preflight lets the ledger's and the broker's clocks differ from ours


@dataclass(frozen=True, slots=True)
class Committed:
    """When a row of the books says that the target committed to an order, and whether it has a client id."""

    at: datetime
    has_client_id: bool

    def is_older_than(self, moment: datetime) -> bool | None:
        """Whether it was written before the broker's record; None where its time was cut so that it does not tell.

        A client id is the target's own word for what it meant to send, so that clocks may differ; without one the time
        is all there is.
        """
        if self.has_client_id:
            return self.at <= moment + CLOCKS_APART
        if self.at >= moment:
            return False
        return True if self.at + self._step <= moment else None

    @property
    def _step(self) -> timedelta:
        """What the books' time may have been cut by, as its digits show."""
        micros = self.at.microsecond
        return timedelta(seconds=1) if not micros else timedelta(milliseconds=0 if micros % 1000 else 1)


@dataclass(frozen=True, slots=True)
class SentOrders:
    """What the target's books say it sent: by its own client ids, and by the broker's order ids."""

    by_client_id: Mapping[str, Committed]
    by_order_id: Mapping[str, Committed]

    @classmethod
    def of(cls, orders: Iterable[Mapping[str, Any]]) -> "SentOrders":
        """Read them from rows of the ledger's `orders`, of several with one id the oldest."""
        by_client_id: dict[str, Committed] = {}
        by_order_id: dict[str, Committed] = {}
        for row in sorted(orders, key=lambda row: row["created_at"]):
            committed = Committed(row["created_at"], bool(row["client_order_id"]))
            if row["client_order_id"]:
                by_client_id.setdefault(str(row["client_order_id"]), committed)
            if row["broker_order_id"]:
                by_order_id.setdefault(str(row["broker_order_id"]), committed)
        return cls(by_client_id, by_order_id)

    def holds(self, record: Record) -> bool | None:
        """Whether the target sent this order: a row of its client id, or else of its number, is older than it.

        A row that was written afterwards took the order over. None where that cannot be told.
        """
        extensions = (record.get("clientExtensions") or {}, record.get("tradeClientExtensions") or {})
        rows = [self.by_client_id.get(str(each.get("id"))) for each in extensions if each.get("id")]
        rows.append(self.by_order_id.get(required(record, "id")))
        moment = moment_of(required(record, "time"))
        told = {row.is_older_than(moment) for row in rows if row}
        return True if True in told else None if None in told else False


def judge_hands(transactions: Iterable[Record], sent: SentOrders) -> tuple[Finding, ...]:
    """Return a critical finding for each transaction that a person, or another program, caused.

    Raises TransactionUnreadable for a record that lacks what the interface promises.
    """
    return tuple(found for record in transactions if (found := _hand(record, sent)) is not None)


def undecided(transactions: Iterable[Record], sent: SentOrders) -> str:
    """Return why nobody can say who sent some of the orders, or nothing."""
    numbers = [required(record, "id") for record in transactions if _is_asked(record) and sent.holds(record) is None]
    if not numbers:
        return ""
    which = f"{'transaction' if len(numbers) == 1 else 'transactions'} {', '.join(numbers[:MOST_NAMED])}"
    return (
        f"Nobody's hands can be ruled out: the books' rows of {which} have no client id, and times cut so short that "
        "they do not show which came first: keep created_at to the microsecond, or send a client id."
    )


def _is_asked(record: Record) -> bool:
    """Whether somebody asked for it: an order, or a stop that did not come with one."""
    return str(record.get("type")) in ORDER_TYPES | STOP_TYPES and str(record.get("reason") or "") in ASKED_FOR


def _hand(record: Record, sent: SentOrders) -> Finding | None:
    kind, reason = str(record.get("type")), str(record.get("reason") or "")
    if kind == "TRANSFER_FUNDS":
        amount = f"{change_of(record):f}"
        words = f"{'A deposit' if not amount.startswith('-') else 'A withdrawal'} of {amount.lstrip('-')} was booked"
        return _finding(TRANSFER, record, f"{words} at the broker", ("no transfer", amount))
    if kind in SETTINGS:
        return _finding(SETTING, record, f"The account was changed at the broker: {kind}", ("no change", kind))
    if not _is_asked(record) or sent.holds(record) is not False:
        return None
    what = f"{required(record, 'type')} {reason}"
    if kind in STOP_TYPES:
        trade = f" of trade {record['tradeID']}" if record.get("tradeID") else ""
        return _finding(STOP, record, f"A stop{trade} was placed or moved that the target did not send", ("none", what))
    if reason in CLOSES:
        trade_id = (record.get("tradeClose") or {}).get("tradeID")
        which = f"trade {trade_id}" if trade_id else str(record.get("instrument") or "a position")
        return _finding(CLOSE, record, f"An order closes {which} that the target did not send", ("none", what))
    size = f"{record.get('units', '?')} {record.get('instrument', '?')}"
    return _finding(ORDER, record, f"An order of {size} that the target did not send", ("none", what))


def _finding(rule: str, record: Record, words: str, values: tuple[str, str]) -> Finding:
    number, at = required(record, "id"), moment_of(required(record, "time")).isoformat()
    where = {"broker_transaction_id": number, "at": at}
    if record.get("instrument"):
        where["instrument"] = str(record["instrument"])
    sentence = f"{words}: transaction {number} at {at}."
    return Finding(rule, Level.CRITICAL, sentence, values[0], values[1], "", where)
