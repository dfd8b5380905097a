"""Clean books, broken for each rule of each check: (check, rule, what is broken, difference, a key that is named)."""

from datetime import UTC, datetime
from decimal import Decimal

from tests.audits.books import Books, at, text_at
from tests.audits.checks.breaks import (
    Break,
    add_transaction,
    again,
    both,
    change,
    change_account,
    change_prices,
    change_trade,
    change_transaction,
    close_the_open_position,
    drop,
    erase_the_open_position,
    hold_an_order,
    send_an_order,
)

MOON = datetime(1969, 7, 20, 20, 17, 40, tzinfo=UTC)


def cancel_out(books: Books) -> None:
    """Two wrong amounts whose sum is right."""
    first, second = books.rows("balance_events")
    first["amount"] += Decimal("0.0001")
    second["amount"] -= Decimal("0.0001")


def swap_the_fills(books: Books) -> None:
    """A fill attached to the other position."""
    books.rows("executions")[1]["position_id"] = "p2"


def made_up_round_trip(books: Books) -> None:
    """A position opened and closed at one price, with orders and events, of which the broker knows nothing."""
    new = {"position_id": "p9", "broker_trade_id": None, "broker_order_id": None, "broker_transaction_id": None}
    new |= {"realized_pnl": Decimal(0), "price": Decimal("1.1")}
    keys = ("order_id", "client_order_id", "execution_id", "event_id", "idempotency_key")
    for relation in ("positions", "orders", "executions", "position_events"):
        for row in [row for row in books.rows(relation) if row["position_id"] == "p1"]:
            copy = row | {name: value for name, value in new.items() if name in row}
            copy |= {key: str(row[key]).replace("1", "9") for key in keys if key in row}
            if row.get("event_type") == "PNL_REALIZED":
                copy["payload"] = '{"realized_pnl": "0"}'
            books.rows(relation).append(copy)


FORGOTTEN = both(drop("balance_events", 0), change("accounts", 0, balance=Decimal("99999.75")))  # transaction 5

CLOSED_BY_STOP = {"reason": "STOP_LOSS_ORDER"}
STOP_CANCELLED = add_transaction("ORDER_CANCEL", 31, orderID="7", reason="CLIENT_REQUEST")
STOP_AGAIN = add_transaction("STOP_LOSS_ORDER", 45, tradeID="6", price="1.2")
TRAILED = add_transaction("TRAILING_STOP_LOSS_ORDER", 45, tradeID="6", distance="0.01", trailingStopValue="1.15")
STOP_OF_3 = {"tradeID": "3", "price": "1.09", "triggerCondition": "DEFAULT"}

SET_AGAIN = both(
    change("positions", 0, stop_loss=Decimal("1.09"), take_profit=Decimal("1.12")),
    add_transaction("STOP_ORDER", 25, instrument="EUR_USD", units="-1000", price="1.09"),
)
OUTLIVED = (
    both(hold_an_order(units="-1000"), send_an_order("9", "submitted", position_id="p1")),
    both(hold_an_order(units="-1000", clientExtensions={"id": "c9"}), send_an_order(None, "pending", position_id="p1")),
    both(SET_AGAIN, send_an_order("9", "submitted", client_order_id=None)),
    both(SET_AGAIN, change_transaction(9, type="LIMIT_ORDER", price="1.120")),
    both(SET_AGAIN, change("positions", 1, units=Decimal(1000), stop_loss=Decimal("1.08"))),
)

BALANCE: list[tuple[str, str, Break, str, str]] = [
    ("balance_row", "balance row", change("balance_events", 0, amount=Decimal("12.5001")), "-0.0001", "b1"),
    ("balance_row", "balance row", change("balance_events", 1, balance_after=Decimal(7)), "-100005.25", "b2"),
    ("balance_row", "balance row", cancel_out, "-0.0001", "b1"),
    ("balance_chain", "balance chain", change("balance_events", 1, balance_before=Decimal("100012.6")), "0.1", "b2"),
    ("balance_chain", "balance chain start", change("balance_events", 0, balance_before=Decimal(99999)), "-1", "b1"),
    ("balance_chain", "balance chain start", drop("balance_events", 0), "12.5", "b2"),
    ("balance_total", "balance total", change("accounts", 0, balance=Decimal("100012.2501")), "0.0001", "b2"),
    ("balance_total", "balance total", drop("balance_events", 1), "-0.25", "b1"),
    (
        "balance_total",
        "balance of last event",
        change("balance_events", 1, balance_after=Decimal(100012)),
        "0.25",
        "b2",
    ),
]

BROKER: list[tuple[str, str, Break, str, str]] = [
    ("tie_out", "transaction not booked", drop("balance_events", 0), "-12.5", "5"),
    ("tie_out", "transaction booked with another sum", change("balance_events", 0, amount=Decimal("12.6")), "0.1", "5"),
    ("tie_out", "transaction booked with another sum", cancel_out, "0.0001", "5"),
    ("tie_out", "transaction booked with another sum", again("balance_events", 1, event_id="b3"), "-0.25", "8"),
    ("tie_out", "transaction booked with another sum", change_transaction(8, commission="0.1"), "0.1", "8"),
    (
        "tie_out",
        "booked, unknown to the broker",
        change("balance_events", 1, broker_transaction_id="99"),
        "-0.25",
        "b2",
    ),
    ("tie_out", "booked without transaction", change("balance_events", 0, broker_transaction_id=None), "12.5", "b1"),
    ("broker_chain", "broker balance chain", change_transaction(5, accountBalance="100012.4999"), "-0.0001", "5"),
    ("broker_chain", "broker balance chain", change_transaction(8, financing="-0.26"), "0.01", "8"),
    ("broker_chain", "broker balance chain", change_transaction(6, guaranteedExecutionFee="2"), "2", "6"),
    ("broker_chain", "money moved without a balance", change_transaction(8, accountBalance=None), "-0.25", "8"),
    ("broker_chain", "transaction twice in the statement", change_transaction(4, id="3"), "", "3"),
    ("broker_chain", "unknown transaction type", change_transaction(4, type="GIFT"), "0", "4"),
    ("broker_chain", "unknown money field", change_transaction(8, bonus="1.5"), "1.5", "8"),
    ("broker_balance", "broker balance", change_account(balance="100012.2499"), "0.0001", "8"),
    ("broker_balance", "broker balance", change("accounts", 0, balance=Decimal(0)), "-100012.25", "8"),
    ("broker_balance", "broker currency", change_account(currency="EUR"), "", "8"),
]

EQUITY: list[tuple[str, str, Break, str, str]] = [
    ("equity", "margin and equity", change("accounts", 0, margin_available=Decimal(1)), "-100001", ""),
    ("equity", "equity without positions", erase_the_open_position, "0.75", ""),
    ("equity", "margin without positions", erase_the_open_position, "11", ""),
    ("equity", "equity away from the broker", change("accounts", 0, equity=Decimal("100024.01")), "11.01", ""),
    ("equity", "margin away from the broker", change("accounts", 0, margin_used=Decimal("11.23")), "0.23", ""),
]

EVENTS: list[tuple[str, str, Break, str, str]] = [
    ("event_coverage", "event missing", drop("position_events", 5), "", "p1"),
    ("event_coverage", "event missing", change("position_events", 9, event_type="MARGIN_UPDATED"), "", "p2"),
    ("event_coverage", "one ORDER_FILLED per execution", drop("position_events", 3), "-1", "p1"),
    ("event_coverage", "one ORDER_FILLED per execution", drop("executions", 1), "1", "p1"),
    ("event_coverage", "one PNL_REALIZED per closing execution", drop("position_events", 4), "-1", "p1"),
    ("event_coverage", "one event of its kind", again("position_events", 9, sequence=4), "1", "p2"),
    ("event_coverage", "event too early", again("position_events", 6, position_id="p2"), "1", "p2"),
    ("event_coverage", "unknown event type", change("position_events", 0, event_type="POSITION_OPENED"), "", "e1"),
    ("event_coverage", "unknown event type", change("balance_events", 1, event_type="SWAP"), "", "b2"),
    ("sequences", "numbers missing", drop("position_events", 3), "1", "e1.5"),
    ("sequences", "numbers missing", change("balance_events", 1, sequence=4), "2", "b2"),
    ("sequences", "number twice", change("position_events", 3, sequence=3), "-1", "p1"),
    ("sequences", "number below 1", change("balance_events", 0, sequence=-5), "-6", "b1"),
    ("replay", "units from events", change("position_events", 8, payload='{"units": "-400"}'), "-100", "p2"),
    ("replay", "units from events", drop("position_events", 3), "-1000", "p1"),
    ("replay", "profit from events", change("position_events", 4, payload='{"realized_pnl": 12}'), "0.5", "p1"),
    ("replay", "margin from events", change("positions", 1, margin_used=Decimal(12)), "1", "p2"),
    ("replay", "status from events", drop("position_events", 6), "", "p1"),
    ("replay", "created as", change("positions", 1, units=Decimal(-600)), "-100", "p2"),
    ("replay", "created as", change("positions", 1, instrument="GBP_USD"), "0", "p2"),
    ("replay", "balance from events", change("accounts", 0, balance=Decimal(100012)), "-0.25", ""),
]

PNL: list[tuple[str, str, Break, str, str]] = [
    ("pnl", "profit of an execution", change("executions", 1, realized_pnl=Decimal("12.5001")), "0.0001", "x1c"),
    ("pnl", "profit of an execution", change("executions", 1, conversion_rate=Decimal("1.1")), "-1.25", "x1c"),
    ("pnl", "profit of an execution", change("executions", 1, conversion_rate=Decimal("9e18")), "", "x1c"),
    ("pnl", "profit of an opening", change("executions", 0, realized_pnl=Decimal(1)), "1", "x1"),
    ("pnl", "profit of a position", change("positions", 0, realized_pnl=Decimal("12.6")), "0.1", "p1"),
    ("pnl", "entry price", change("positions", 0, entry_price=Decimal("1.2")), "0.1", "p1"),
    ("pnl", "profit booked", change("balance_events", 0, amount=Decimal("12.6")), "0.1", "x1c"),
    ("pnl", "profit booked", change("balance_events", 0, execution_id="x2"), "", ""),
    ("pnl", "profits booked", drop("balance_events", 0), "-12.5", ""),
    ("pnl", "commission booked", change("executions", 0, commission=Decimal("0.5")), "-0.5", "3"),
    ("pnl", "commission below zero", change("executions", 0, commission=Decimal("-0.5")), "-0.5", "x1"),
]

POSITIONS: list[tuple[str, str, Break, str, str]] = [
    ("positions", "units of executions", change("positions", 1, units_open=Decimal(-400)), "100", "p2"),
    ("positions", "units of executions", swap_the_fills, "", ""),
    ("positions", "units as opened", change("positions", 0, units=Decimal(900)), "-100", "p1"),
    ("positions", "turned over", change("positions", 1, units_open=Decimal(500)), "500", "p2"),
    ("positions", "status", change("positions", 1, status="closed"), "-500", "p2"),
    ("positions", "closing time", change("positions", 0, closed_at=None), "", "p1"),
    ("positions", "execution of another kind", change("executions", 2, instrument="GBP_USD"), "", "x2"),
    ("orphans", "units of an order without execution", change("orders", 2, units=Decimal(-600)), "100", "o2"),
    ("positions", "fill on the wrong position", swap_the_fills, "-1000", "x1c"),
    ("positions", "units of the fill", change("executions", 2, units=Decimal(-400)), "100", "x2"),
    ("positions", "price of the fill", change("executions", 2, price=Decimal("1.2")), "0.1", "x2"),
    ("positions", "time of the fill", change("executions", 2, executed_at=at(24)), "-6000", "x2"),
    ("positions", "position without broker trade", change_account(trades=[]), "", "p2"),
    ("positions", "position without broker trade", change("positions", 1, broker_trade_id=None), "", "p2"),
    ("positions", "broker trade without position", erase_the_open_position, "", "6"),
    ("positions", "position units", change_trade(currentUnits="500"), "-1000", "p2"),
    ("positions", "position instrument", change_trade(instrument="GBP_USD"), "", "p2"),
    ("positions", "position entry price", change_trade(price="1.09"), "0.01", "p2"),
    ("positions", "broker trade held twice", again("positions", 1, position_id="p3"), "1", "p2, p3"),
    ("positions", "count of open positions", change_account(openTradeCount=2), "-1", ""),
]

ORPHANS: list[tuple[str, str, Break, str, str]] = [
    ("orphans", "balance event without execution", drop("executions", 1), "", "b1"),
    ("orphans", "filled order without execution", drop("executions", 1), "", "o1c"),
    ("orphans", "execution of an unfilled order", change("orders", 0, status="pending"), "", "o1"),
    ("orphans", "execution without order", drop("orders", 0), "", "x1"),
    ("orphans", "execution without position", drop("positions", 1), "", "x2"),
    ("orphans", "order without position", drop("positions", 1), "", "o2"),
    ("orphans", "position event without position", drop("positions", 0), "", "p1"),
    ("orphans", "balance event without position", drop("positions", 0), "", "b1"),
    (
        "orphans",
        "position without events",
        both(drop("position_events", 9), drop("position_events", 8), drop("position_events", 7)),
        "",
        "p2",
    ),
    ("orphans", "position without execution", drop("executions", 2), "", "p2"),
    ("orphans", "position without account", change("positions", 0, account_id="other"), "", "p1"),
    ("orphans", "order without account", change("orders", 0, account_id="it's other"), "", "o1"),
    ("orphans", "execution without account", change("executions", 0, account_id="other"), "", "x1"),
    ("orphans", "balance event without account", change("balance_events", 0, account_id="other"), "", "b1"),
    ("orphans", "reconciliation without account", change("reconciliations", 0, account_id="other"), "", "r1"),
    ("orphans", "execution of another order", change("orders", 2, instrument="GBP_USD"), "-500", "x2"),
    ("orphans", "execution of another order", change("orders", 2, broker_order_id="4"), "-500", "x2"),
    ("orphans", "broker fill without execution", erase_the_open_position, "-500", "6"),
    ("orphans", "broker fill without execution", change("positions", 1, broker_trade_id="7"), "-500", "6"),
    ("orphans", "execution without transaction", change("executions", 1, broker_transaction_id=None), "-1000", "x1c"),
    ("orphans", "execution without transaction", made_up_round_trip, "1000", "x9"),
    ("orphans", "broker order without order", hold_an_order(), "1000", "9"),
    ("orphans", "broker order without order", hold_an_order(clientExtensions={"id": "c8"}), "1000", "9"),
    ("orphans", "order unknown to the broker", send_an_order("777", "submitted"), "1000", "777"),
    (
        "orphans",
        "order over at the broker",
        both(hold_an_order(), add_transaction("ORDER_CANCEL", 0, orderID="9"), send_an_order("9", "submitted")),
        "1000",
        "o9",
    ),
    ("orphans", "order still at the broker", both(hold_an_order(), send_an_order("9", "cancelled")), "1000", "o9"),
    *(("orphans", "order of a closed position", broken, "-1000", "9") for broken in OUTLIVED),
    ("orphans", "execution unknown to the broker", change("executions", 2, broker_transaction_id="7"), "-500", "x2"),
]

DUPLICATES: list[tuple[str, str, Break, str, str]] = [
    ("duplicates", "event twice", again("balance_events", 1), "1", "b2"),
    ("duplicates", "position event twice", again("position_events", 4), "1", "e1.5"),
    ("duplicates", "execution twice", again("executions", 0), "1", "x1"),
    ("duplicates", "order twice", again("orders", 0), "1", "o1"),
    ("duplicates", "position twice", again("positions", 0), "1", "p1"),
    ("duplicates", "account twice", again("accounts", 0), "1", ""),
    ("duplicates", "reconciliation twice", again("reconciliations", 0), "1", "r1"),
    ("duplicates", "transaction booked twice", again("balance_events", 0, event_id="b3", sequence=3), "1", "b3"),
    (
        "duplicates",
        "transaction booked twice",
        both(again("balance_events", 0, event_id="b3"), again("balance_events", 0, event_id="b4", amount=Decimal(-25))),
        "2",
        "b4",
    ),
    ("duplicates", "fill executed twice", again("executions", 2, execution_id="x3"), "1", "x3"),
    ("duplicates", "idempotency key twice", change("position_events", 1, idempotency_key="p1/1"), "1", "p1/1"),
    ("duplicates", "broker order twice", change("orders", 1, broker_order_id="2"), "1", "o1c"),
    ("duplicates", "broker trade twice", change("positions", 0, broker_trade_id="6"), "1", "p1"),
    ("duplicates", "client order executed twice", change("orders", 2, client_order_id="c1"), "1", "c1"),
    (
        "duplicates",
        "client order filled twice",
        both(change_transaction(3, clientOrderID="it's c"), change_transaction(6, clientOrderID="it's c")),
        "1",
        "it's c",
    ),
]

TIME: list[tuple[str, str, Break, str, str]] = [
    ("time_order", "recorded before it occurred", change("balance_events", 1, recorded_at=at(39)), "-1000", "b2"),
    ("time_order", "recorded before it occurred", change("position_events", 9, recorded_at=MOON), "", "e2.3"),
    ("time_order", "order changed before it was created", change("orders", 0, updated_at=at(5)), "-5000", "o1"),
    ("time_order", "position closed before it was opened", change("positions", 0, closed_at=at(9)), "-1000", "p1"),
    ("time_order", "executed before its order", change("orders", 2, created_at=at(35)), "-5000", "x2"),
    ("time_order", "executed before its position was opened", change("positions", 1, opened_at=at(35)), "-5000", "p2"),
    (
        "time_order",
        "executed after its position was closed",
        change("executions", 1, executed_at=at(25)),
        "-5000",
        "p1",
    ),
    (
        "time_order",
        "event before its position was opened",
        change("position_events", 7, occurred_at=at(29)),
        "-1000",
        "p2",
    ),
    (
        "time_order",
        "event after its position was closed",
        change("position_events", 6, occurred_at=at(26)),
        "-6000",
        "p1",
    ),
    ("time_order", "time out of range", change("executions", 0, executed_at=MOON), "", "x1"),
    ("time_order", "time out of range", change("balance_events", 0, recorded_at=at(999)), "", "b1"),
    ("time_order", "time out of range", change("orders", 0, updated_at=at(999)), "", "o1"),
    ("time_order", "recorded before its execution", change("executions", 1, executed_at=at(22)), "-2000", "b1"),
    (
        "time_order",
        "recorded before its execution",
        change("balance_events", 0, occurred_at=at(-3600), recorded_at=at(-3600)),
        "-3620000",
        "b1",
    ),
    ("time_order", "first event", change("position_events", 7, sequence=9), "", "p2"),
    ("time_order", "event after the close", change("position_events", 5, sequence=9), "2", "p1"),
]

STOPS: list[tuple[str, str, Break, str, str]] = [
    ("stops", "position without its stop", change_transaction(7, type="LIMIT_ORDER"), "", "p2"),
    ("stops", "position without its stop", change("positions", 1, take_profit=Decimal(1)), "", "p2"),
    (
        "stops",
        "position without its stop",
        add_transaction("ORDER_CANCEL", 45, orderID="7", reason="CLIENT_REQUEST"),
        "",
        "p2",
    ),
    ("stops", "stop at another price", change_transaction(7, price="1.3"), "0.1", "p2"),
    ("stops", "stop unknown to the ledger", change("positions", 1, stop_loss=None), "", "p2"),
    ("stops", "unprotected", change_transaction(7, time="2026-11-22T12:00:40.000000000Z"), "10000", "p2"),
    ("stops", "unprotected", both(STOP_CANCELLED, close_the_open_position), "24000", "11"),
    ("stops", "unprotected", both(STOP_CANCELLED, STOP_AGAIN), "14000", "10"),
    (
        "stops",
        "unprotected",
        both(change_transaction(7, type="TRAILING_STOP_LOSS_ORDER", price=None), STOP_CANCELLED, STOP_AGAIN),
        "14000",
        "10",
    ),
    ("stops", "stop at another price", both(change_transaction(7, price="1.9"), TRAILED), "0.7", "p2"),
    ("stops", "stop unknown to the ledger", both(change("positions", 1, stop_loss=None), TRAILED), "", "p2"),
    ("stops", "close booked as something else", change_transaction(5, **CLOSED_BY_STOP), "", "p1"),
    ("stops", "close booked as something else", change("positions", 0, close_reason="TAKE_PROFIT"), "", "p1"),
    (
        "stops",
        "closed by no fill",
        both(change_transaction(5, tradesClosed=None), change("positions", 0, close_reason="STOP_LOSS")),
        "",
        "p1",
    ),
    (
        "stops",
        "stop executed late",
        both(
            change_transaction(5, **CLOSED_BY_STOP, fullPrice={"timestamp": "2026-11-22T12:00:10.500000000Z"}),
            change("positions", 0, close_reason="STOP_LOSS"),
        ),
        "9500",
        "p1",
    ),
    (
        "stops",
        "closed beyond its stop",
        change_transaction(4, type="STOP_LOSS_ORDER", tradeID="3", price="1.15", time="2026-11-22T12:00:12.000000000Z"),
        "-0.0375",
        "p1",
    ),
    # The ask, 0.0002 above the bid, reaches the stop at 1.2 of the short position.
    ("stops", "stop touched, not executed", change_prices({35: ("1.1", "1.1998")}), "0", "p2"),
    ("stops", "stop touched, not executed", change_prices({40: ("1.2", "1.21")}), "0.0102", "p2"),
    (
        "stops",
        "stop executed late",
        both(
            change_transaction(4, type="STOP_LOSS_ORDER", tradeID="3", price="1.05", time=text_at(0)),
            change_transaction(5, **CLOSED_BY_STOP),
            change("positions", 0, close_reason="STOP_LOSS", stop_loss=Decimal("1.05")),
            change_prices({5: ("1.05", "1.1")}),
        ),
        "15000",
        "p1",
    ),
]

OTHERS: list[tuple[str, str, Break, str, str]] = [
    ("stuck", "order stuck", change("orders", 0, status="pending", updated_at=at(-60)), "121", "o1"),
    ("stuck", "order stuck", change("orders", 2, status="submitted", updated_at=at(-60)), "121", "o2"),
    ("stuck", "unknown status", change("orders", 0, status="done"), "", "o1"),
    ("reconciliation", "reconciliation mismatch", change("reconciliations", 0, mismatches=2), "2", "r1"),
    ("reconciliation", "reconciliation hid a difference", FORGOTTEN, "-12.5", "r1"),
    ("reconciliation", "reconciliation slow", change("reconciliations", 0, duration_ms=Decimal(1001)), "1", "r1"),
    ("reconciliation", "reconciliation impossible", change("reconciliations", 0, duration_ms=Decimal(-1)), "-1", "r1"),
]

BROKEN = [
    *BALANCE,
    *BROKER,
    *EQUITY,
    *EVENTS,
    *PNL,
    *POSITIONS,
    *ORPHANS,
    *DUPLICATES,
    *TIME,
    *STOPS,
    *OTHERS,
]
