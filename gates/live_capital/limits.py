"""Limits: what a plan allows against what the broker saw. Each limit that is broken is a critical finding. Pure."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from audits.findings import Finding, Level
from audits.transactions import Record, exact, moment_of, number_of, required
from gates.checks.hands import ASKED_FOR, CLOSES, ORDER_TYPES, STOP_TYPES
from gates.live_capital.terms import Terms

INSTRUMENT = "instrument beyond the plan"
SIZE = "order larger than the plan allows"
RATE = "more orders a minute than the plan allows"
DAILY = "daily loss limit broken"
TOTAL = "total loss limit broken"
AMOUNT = "more capital than the plan allows"
END = "trading after the plan's end"
MARGIN = "margin call"

MARGIN_TYPES = frozenset({"MARGIN_CALL_ENTER", "MARGIN_CALL_EXTEND", "DELAYED_TRADE_CLOSURE"})
MARGIN_REASONS = frozenset({"MARGIN_CLOSEOUT", "DELAYED_TRADE_CLOSE"})
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Orders:
    """The orders of a stretch of time: how many, the largest, and the most within any minute that ends in it."""

    count: int
    largest: Decimal
    most_a_minute: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Money:
    """The account's net asset value now, and what it was when the day and the plan began.

    `moved_today` and `moved` are deposits less withdrawals since then: money that was taken out is not lost.
    """

    nav: Decimal
    day_nav: Decimal
    plan_nav: Decimal
    moved_today: Decimal = Decimal(0)
    moved: Decimal = Decimal(0)

    @property
    def day_loss(self) -> Decimal:
        """What was lost today, open positions included; negative is a gain."""
        return self.day_nav + self.moved_today - self.nav

    @property
    def total_loss(self) -> Decimal:
        """What was lost since the plan began."""
        return self.plan_nav + self.moved - self.nav


def judge_orders(terms: Terms, transactions: Iterable[Record], since_id: int) -> Orders:
    """Judge the orders that the broker recorded after the transaction `since_id`: no clock is asked, so none is missed.

    Give the minute before it too: orders a minute are counted over the 60 s that end with each order, as the message
    throttle of RTS 6, article 15, counts. Refused orders and moved stops count; stops that came with an order,
    and what the broker did by itself, do not. A close is judged by instrument and rate; its size is the position's.
    """
    asked, sizes, findings = deque[datetime](), [Decimal(0)], list[Finding]()
    count = most = 0
    for record in transactions:
        at = moment_of(required(record, "time"))
        is_new = number_of(record) > since_id
        if is_new:
            findings += _margin(record)
        if not _is_asked(record):
            continue
        asked.append(at)
        while asked[0] <= at - MINUTE:
            asked.popleft()
        if not is_new:
            continue
        count, most = count + 1, max(most, len(asked))
        sizes.append(_size(record))
        findings += _order(terms, record, len(asked))
    return Orders(count, max(sizes), most, tuple(findings))


def judge_money(terms: Terms, money: Money) -> tuple[Finding, ...]:
    """Judge what was lost: today, and since the plan began, open positions included."""
    found = []
    for rule, loss, limit, since in (
        (DAILY, money.day_loss, terms.daily_loss, "today"),
        (TOTAL, money.total_loss, terms.total_loss, "since the plan began"),
    ):
        if loss > limit:
            sentence = f"{loss} USD were lost {since}, open positions included: the plan allows {limit} USD."
            values = (f"at most {limit} USD", f"{loss} USD", str(loss - limit))
            found.append(Finding(rule, Level.CRITICAL, sentence, *values))
    return tuple(found)


def judge_capital(terms: Terms, nav: Decimal) -> tuple[Finding, ...]:
    """Judge how much money the account holds when gate 4 opens."""
    if nav <= terms.amount:
        return ()
    sentence = f"The account holds {nav} USD: the plan allows {terms.amount} USD. Withdraw the rest first."
    values = (f"at most {terms.amount} USD", f"{nav} USD", str(nav - terms.amount))
    return (Finding(AMOUNT, Level.CRITICAL, sentence, *values),)


def _is_asked(record: Record) -> bool:
    kind = str(record.get("type")).removesuffix("_REJECT")
    return kind in ORDER_TYPES | STOP_TYPES and str(record.get("reason") or "CLIENT_ORDER") in ASKED_FOR


def _size(record: Record) -> Decimal:
    """The units of an order that may open a position; 0 of one that only closes."""
    kind = str(record.get("type")).removesuffix("_REJECT")
    if kind not in ORDER_TYPES or str(record.get("reason") or "") in CLOSES:
        return Decimal(0)
    return abs(exact(record, "units") or Decimal(0))


def _order(terms: Terms, record: Record, in_minute: int) -> Sequence[Finding]:
    found, number = [], required(record, "id")
    where = {"broker_transaction_id": number, "at": moment_of(required(record, "time")).isoformat()}
    instrument, size = str(record.get("instrument") or ""), _size(record)
    if instrument and instrument not in terms.instruments:
        words = f"Transaction {number} is an order in {instrument}: the plan names {', '.join(terms.instruments)}."
        found.append(Finding(INSTRUMENT, Level.CRITICAL, words, ", ".join(terms.instruments), instrument, "", where))
    if size > terms.order_size:
        words = f"Transaction {number} is an order of {size} units: the plan allows {terms.order_size}."
        values = (f"at most {terms.order_size} units", f"{size} units", str(size - terms.order_size))
        found.append(Finding(SIZE, Level.CRITICAL, words, *values, where))
    if in_minute > terms.orders_per_minute:
        words = f"With transaction {number} there were {in_minute} orders within a minute: the plan allows "
        words += f"{terms.orders_per_minute}."
        values = (f"at most {terms.orders_per_minute}", str(in_minute), str(in_minute - terms.orders_per_minute))
        found.append(Finding(RATE, Level.CRITICAL, words, *values, where))
    if size and where["at"][:10] > terms.ends_on.isoformat():
        words = f"Transaction {number} is an order after {terms.ends_on}, when the plan ended."
        found.append(Finding(END, Level.CRITICAL, words, f"none after {terms.ends_on}", where["at"], "", where))
    return found


def _margin(record: Record) -> Sequence[Finding]:
    kind, reason = str(record.get("type")), str(record.get("reason") or "")
    if kind not in MARGIN_TYPES and reason not in MARGIN_REASONS:
        return ()
    number = required(record, "id")
    words = f"The broker called for margin, or closed positions for want of it: transaction {number}, {kind} {reason}."
    where = {"broker_transaction_id": number}
    return (Finding(MARGIN, Level.CRITICAL, words.replace(" .", "."), "none", f"{kind} {reason}".strip(), "", where),)
