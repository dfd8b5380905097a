"""Hands: what was done at the broker that the target did not send. Pure.

A target commits to an order before it sends it, so its books show an intent that is older than the broker's record, or
that carries an id of the target's own. An order that the books only took over afterwards shows neither: somebody else
placed it. Money that moves and settings that change are never the target's doing.

What cannot be told from the two books is not judged here: who cancelled a pending order over the same interface.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
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


@dataclass(frozen=True, slots=True)
class SentOrders:
    """What the target's books say it sent: its own client ids, and when it committed to each order of the broker's.

    `committed` has a broker order id and the time of its row; the time is None where the row has a client id.
    """

    client_ids: frozenset[str]
    committed: Mapping[str, datetime | None]

    @classmethod
    def of(cls, orders: Iterable[Mapping[str, Any]]) -> "SentOrders":
        """Read them from rows of the ledger's `orders`."""
        rows = tuple(orders)
        return cls(
            frozenset(str(row["client_order_id"]) for row in rows if row["client_order_id"]),
            {
                str(row["broker_order_id"]): None if row["client_order_id"] else row["created_at"]
                for row in rows
                if row["broker_order_id"]
            },
        )

    def holds(self, record: Record) -> bool:
        """Whether the target sent this order: by a client id of its own, or by a row that is older than the order."""
        extensions = (record.get("clientExtensions") or {}, record.get("tradeClientExtensions") or {})
        if any(str(each.get("id")) in self.client_ids for each in extensions if each.get("id")):
            return True
        order_id = required(record, "id")
        if order_id not in self.committed:
            return False
        committed_at = self.committed[order_id]
        return committed_at is None or committed_at < moment_of(required(record, "time"))


def judge_hands(transactions: Iterable[Record], sent: SentOrders) -> tuple[Finding, ...]:
    """Return a critical finding for each transaction that a person, or another program, caused.

    Raises TransactionUnreadable for a record that lacks what the interface promises.
    """
    return tuple(found for record in transactions if (found := _hand(record, sent)) is not None)


def _hand(record: Record, sent: SentOrders) -> Finding | None:
    kind, reason = str(record.get("type")), str(record.get("reason") or "")
    if kind == "TRANSFER_FUNDS":
        amount = f"{change_of(record):f}"
        words = f"{'A deposit' if not amount.startswith('-') else 'A withdrawal'} of {amount.lstrip('-')} was booked"
        return _finding(TRANSFER, record, f"{words} at the broker", ("no transfer", amount))
    if kind in SETTINGS:
        return _finding(SETTING, record, f"The account was changed at the broker: {kind}", ("no change", kind))
    if kind not in ORDER_TYPES | STOP_TYPES or reason not in ASKED_FOR or sent.holds(record):
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
