"""The checks of gate 4's slots: each asks the live account and the target's books, and judges what it saw."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from audits.contract import ACCOUNTS, BALANCE_EVENTS, EXECUTIONS, ORDERS
from audits.findings import Finding
from audits.sources.oanda import OandaReader
from audits.transactions import Record, exact, moment_of, number_of, required
from audits.verdicts import Verdict
from gates.campaigns.hands import judge_description, judge_slots
from gates.campaigns.searching import closed_by_hand, description_sha256
from gates.checks import health, stops
from gates.checks.books import rows_of, snapshot_of
from gates.checks.hands import SETTING, TRANSFER, SentOrders, judge_hands, undecided
from gates.checks.outcome import Outcome, inconclusive, judged
from gates.live_capital.limits import MINUTE, Money, judge_money, judge_orders
from gates.live_capital.performance import Equity, drawdown, moved_since, performance
from gates.live_capital.plans import LivePlan
from gates.live_capital.reaching import reader_of
from gates.live_capital.standing import terms_of
from gates.models import LiveRun, Slot, SlotResult
from gates.targets.access import Access

BOOKED_WITHIN_S = 8.0  # an order is in the books soon after it is at the broker; one that stays out was not sent
BOOKED_PAUSE_S = 1.0
BEFORE = timedelta(days=2)  # how much older than its order an intent may be
COMPARED = (ACCOUNTS, ORDERS, EXECUTIONS, BALANCE_EVENTS)


def check_health(slot: Slot, reach: Access) -> Outcome:
    """The target answers, and is the process and the build of the month's first day."""
    return health.judge(health.observe(reach), slot.run.baseline)


def check_stops(slot: Slot, reach: Access) -> Outcome:
    """Every stop that the market touched in the window was executed in time."""
    limit_s = LivePlan.stored(slot.run.plan).stop_limit_s
    outcome = stops.judge_window(reach, start=slot.window_start, end=slot.window_end, limit_s=limit_s)
    if outcome.verdict == Verdict.INCONCLUSIVE and outcome.measured["whole"] and not outcome.measured["live"]:
        # A target that holds nothing for an hour of its month does no wrong; the gate's minimum demands touches.
        return Outcome(Verdict.PASSED, "", outcome.measured)
    return outcome


def check_limits(slot: Slot, reach: Access) -> Outcome:
    """The plan's limits: orders since the look before, and what was lost today and since the plan began."""
    terms = terms_of(LiveRun.objects.select_related("plan").get(run=slot.run_id).plan)
    before, opened = _looked_before(slot, slot.window_start), slot.run.baseline["capital"]
    with reader_of(reach) as broker:
        account = broker.summary()
        until_id = int(required(account, "lastTransactionID"))
        records = broker.transactions(int(before.get("minute_id", opened["last_transaction_id"])))
    records = [record for record in records if number_of(record) <= until_id]  # later ones are for the next look
    seen_id = int(before.get("last_transaction_id", opened["last_transaction_id"]))
    moved = Decimal(before.get("moved", "0")) + _moved([r for r in records if number_of(r) > seen_id])
    orders = judge_orders(terms, records, seen_id)
    day = _looked_before(slot, _day_start(slot))
    money = Money(
        nav=exact(account, "NAV") or Decimal(0),
        day_nav=Decimal(day.get("nav", opened["nav"])),
        plan_nav=Decimal(opened["plan_nav"]),
        moved_today=moved - Decimal(day.get("moved", "0")),
        moved=moved,
    )
    measured = _account_figures(account) | {
        "day_loss": f"{money.day_loss:f}",
        "total_loss": f"{money.total_loss:f}",
        "orders": orders.count,
        "largest_order": f"{orders.largest:f}",
        "most_a_minute": orders.most_a_minute,
        "moved": f"{moved:f}",
        "minute_id": _minute_before(records) or before.get("minute_id") or opened["last_transaction_id"],
    }
    return judged((*orders.findings, *judge_money(terms, money)), measured)


def check_hands(slot: Slot, reach: Access) -> Outcome:
    """Nobody but the target sent an order, moved a stop or moved money since the look before, nor changed what judges
    it."""
    before = _looked_before(slot, slot.window_start, "last_transaction_id")
    since = int((before or slot.run.baseline["capital"])["last_transaction_id"])
    with reader_of(reach) as broker:
        records = broker.transactions(since)
        found, unsure = _foreign(records, slot, reach, broker)
    found += judge_description(slot.run.baseline, description_sha256(slot.run.campaign.target.spec))
    found += judge_slots(closed_by_hand(slot.run))
    orders = sum(str(record.get("type")).endswith("_ORDER") for record in records)
    last_id = number_of(records[-1]) if records else since
    measured = {"transactions": len(records), "orders": orders, "by_hand": len(found), "last_transaction_id": last_id}
    return inconclusive(unsure, **measured) if unsure and not found else judged(found, measured)


def check_performance(slot: Slot, reach: Access) -> Outcome:
    """What the account earned and paid since the month began. It judges nothing; the figures are the evidence."""
    opened = slot.run.baseline["capital"]
    with reader_of(reach) as broker:
        account = broker.summary()
        records = broker.transactions(int(opened["last_transaction_id"]))
    until = [record for record in records if moment_of(required(record, "time")) < slot.window_end]
    results = {trade: Decimal(amount) for trade, amount in opened.get("trade_results", {}).items()}
    figures = performance(until, opened=results)
    curve = equity_of(slot)
    fall = drawdown(curve)
    measured = figures.as_text() | _account_figures(account) | stop_figures(slot)
    measured |= {"drawdown": f"{fall.amount:f}", "drawdown_part": f"{fall.part:f}", "looks": len(curve)}
    measured |= {"opened_nav": opened["nav"], "transactions": len(until)}
    if not curve:
        return inconclusive("No look at the limits came before it: there is no equity curve.", **measured)
    return Outcome(Verdict.PASSED, "", measured)


LIVE_CHECKS: dict[str, Callable[[Slot, Access], Outcome]] = {
    "health": check_health,
    "limits": check_limits,
    "hands": check_hands,
    "stops": check_stops,
    "performance": check_performance,
}


def equity_of(slot: Slot) -> list[Equity]:
    """Return the equity curve of the month up to the slot, from the looks at the limits."""
    rows = SlotResult.objects.filter(
        slot__run=slot.run_id, slot__check_name="limits", slot__window_end__lte=slot.window_end
    )
    names = ("balance", "nav", "margin_used", "position_value")
    values = rows.order_by("slot__due_at").values_list("slot__window_end", *(f"measured__{name}" for name in names))
    return [Equity(at, *(Decimal(amount) for amount in amounts)) for at, *amounts in values if None not in amounts]


def stop_figures(slot: Slot) -> dict[str, Any]:
    """Return how fast and how well touched stops were executed so far."""
    rows = SlotResult.objects.filter(
        slot__run=slot.run_id, slot__check_name="stops", slot__window_end__lte=slot.window_end
    )
    return stop_summary(list(rows.values_list("measured", flat=True)))


def stop_summary(measured: list[dict[str, Any]]) -> dict[str, Any]:
    """Add up what stops slots measured: touches, executed, latency in ms (median and worst), worst slippage in pips."""
    latencies = sorted(float(each) for row in measured for each in row.get("latencies_ms") or ())
    slippages = [Decimal(row["slippage_worst_pips"]) for row in measured if row.get("slippage_worst_pips")]
    return {
        "touches": sum(int(row.get("touches") or 0) for row in measured),
        "executed": sum(int(row.get("executed") or 0) for row in measured),
        "latency_median_ms": latencies[len(latencies) // 2] if latencies else None,
        "latency_worst_ms": latencies[-1] if latencies else None,
        "slippage_worst_pips": f"{max(slippages):f}" if slippages else None,
    }


def _foreign(
    records: Sequence[Record], slot: Slot, reach: Access, broker: OandaReader
) -> tuple[tuple[Finding, ...], str]:
    """Compare with the books, again for a while where something is in none: it may be booked a moment later.

    Returns what was found, and why nobody can say who sent the rest.
    """
    ends = time.monotonic() + BOOKED_WITHIN_S
    oldest = min((moment_of(required(record, "time")) for record in records), default=slot.window_start)
    since = ("created_at", oldest - BEFORE)
    while True:
        with snapshot_of(reach, broker, COMPARED) as snapshot:
            sent = SentOrders.of(rows_of(snapshot, ORDERS, since=since))
        found = judge_hands(records, sent)
        certain = all(each.rule in (TRANSFER, SETTING) for each in found)
        if certain or time.monotonic() > ends:
            return found, undecided(records, sent)
        time.sleep(BOOKED_PAUSE_S)


def _account_figures(account: Record) -> dict[str, Any]:
    names = {
        "nav": "NAV",
        "balance": "balance",
        "unrealised": "unrealizedPL",
        "margin_used": "marginUsed",
        "position_value": "positionValue",
    }
    figures = {name: f"{exact(account, field) or Decimal(0):f}" for name, field in names.items()}
    return figures | {
        "open_trades": int(account.get("openTradeCount") or 0),
        "last_transaction_id": int(required(account, "lastTransactionID")),
        "looked_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


def _looked_before(slot: Slot, moment: datetime, key: str = "nav") -> dict[str, Any]:
    """What the slot's check measured, `key` among it, when it last looked at a window that ended by this moment;
    nothing before the first."""
    rows = SlotResult.objects.filter(
        slot__run=slot.run_id, slot__check_name=slot.check_name, slot__window_end__lte=moment, measured__has_key=key
    )
    return rows.order_by("-slot__window_end").values_list("measured", flat=True).first() or {}


def _day_start(slot: Slot) -> datetime:
    """When the day began in which the slot's window ends."""
    day = timedelta(seconds=LivePlan.stored(slot.run.plan).day_s)
    start = slot.run.planned_start
    return start + (slot.window_end - timedelta(milliseconds=1) - start) // day * day


def _moved(records: Sequence[Record]) -> Decimal:
    return moved_since(records, datetime.min.replace(tzinfo=UTC))


def _minute_before(records: Sequence[Record]) -> int | None:
    """The last transaction that no later look needs: orders are counted over a minute, by their own times."""
    times = {number_of(record): moment_of(required(record, "time")) for record in records}
    newest = max(times.values(), default=None)
    return max((number for number, at in times.items() if newest and at < newest - MINUTE), default=None)
