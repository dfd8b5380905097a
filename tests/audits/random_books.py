"""Correct books of a random life: several accounts, hedged and netted, in currencies of their own.

Each operation happens at the broker and in the ledger at once, as in a firm that never fails.
"""

import json
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from audits.contract import RELATIONS
from tests.audits.books import Books, Row, at, text_at

ZERO = Decimal(0)
CENT = Decimal("0.0001")
PIP = {"EUR_USD": Decimal("0.0001"), "USD_JPY": Decimal("0.01"), "GBP_CHF": Decimal("0.0001")}
START = {"EUR_USD": Decimal("1.10000"), "USD_JPY": Decimal("150.000"), "GBP_CHF": Decimal("1.12000")}
RATES = {  # quote → account currency
    ("USD", "USD"): Decimal(1),
    ("USD", "EUR"): Decimal("0.909090909091"),
    ("JPY", "USD"): Decimal("0.006666666667"),
    ("JPY", "EUR"): Decimal("0.006060606061"),
    ("CHF", "USD"): Decimal("1.123456789012"),
    ("CHF", "EUR"): Decimal("1.021324353647"),
}


@dataclass
class Trade:
    """An open trade of the broker, with the row of its position."""

    trade_id: str
    instrument: str
    units: Decimal
    price: Decimal
    position: Row
    stops: dict[str, str] = field(default_factory=dict)


@dataclass
class BrokerAccount:
    """One account at the broker, read as the OANDA reader reads it."""

    account_id: str
    currency: str
    balance: Decimal = ZERO
    transactions_: list[Row] = field(default_factory=list)
    trades: dict[str, Trade] = field(default_factory=dict)

    def describe(self) -> str:
        return f"random life, account {self.account_id}"

    def transactions(self, since_id: int = 0) -> list[Row]:
        return [record for record in self.transactions_ if int(record["id"]) > since_id]

    def account(self) -> Row:
        value = sum((abs(trade.units) for trade in self.trades.values()), ZERO)
        return {
            "id": self.account_id,
            "currency": self.currency,
            "balance": str(self.balance),
            "NAV": str(self.balance + len(self.trades)),
            "unrealizedPL": str(len(self.trades)),
            "marginUsed": str(22 * len(self.trades)),
            "positionValue": str(value),
            "openTradeCount": len(self.trades),
            "lastTransactionID": str(len(self.transactions_)),
            "orders": [],
            "trades": [
                {
                    "id": trade.trade_id,
                    "instrument": trade.instrument,
                    "currentUnits": str(trade.units),
                    "initialUnits": str(trade.position["units"]),
                    "price": str(trade.price),
                    "unrealizedPL": "1",
                }
                for trade in self.trades.values()
            ],
        }


class Life:
    """A life of the books: call operations, then `finished`."""

    def __init__(self, accounts: dict[str, str]) -> None:
        self.books = Books({relation.name: [] for relation in RELATIONS}, [], {})
        self.brokers = {name: BrokerAccount(name, currency) for name, currency in accounts.items()}
        self.second = 0
        for name, currency in accounts.items():
            self.row("accounts", account_id=name, currency=currency, opening_balance=ZERO, balance=ZERO)
            self.transact(self.brokers[name], "CREATE", homeCurrency=currency)

    def row(self, relation: str, **values: Any) -> Row:
        self.books.rows(relation).append(values)
        return values

    def transact(self, broker: BrokerAccount, kind: str, money: Decimal | None = None, **fields: Any) -> str:
        number = str(len(broker.transactions_) + 1)
        if money is not None:
            broker.balance += money
            fields["accountBalance"] = str(broker.balance)
        head = {"id": number, "type": kind, "time": text_at(self.second), "accountID": broker.account_id}
        broker.transactions_.append(head | fields)
        return number

    def book(
        self, broker: BrokerAccount, kind: str, amount: Decimal, transaction: str, deal: Row | None = None
    ) -> None:
        """Append a balance event, unless it moves nothing."""
        if not amount:
            return
        account = next(row for row in self.books.rows("accounts") if row["account_id"] == broker.account_id)
        number = sum(row["account_id"] == broker.account_id for row in self.books.rows("balance_events")) + 1
        self.row(
            "balance_events",
            event_id=f"{broker.account_id}/{number}",
            account_id=broker.account_id,
            sequence=number,
            event_type=kind,
            balance_before=account["balance"],
            amount=amount,
            balance_after=account["balance"] + amount,
            position_id=deal["position_id"] if deal else None,
            execution_id=deal["execution_id"] if deal else None,
            broker_transaction_id=transaction,
            occurred_at=at(self.second),
            recorded_at=at(self.second + 0.2),
        )
        account["balance"] += amount

    def tell(self, position: Row, kind: str, **payload: Any) -> None:
        """Append a position event."""
        number = sum(row["position_id"] == position["position_id"] for row in self.books.rows("position_events")) + 1
        self.row(
            "position_events",
            event_id=f"{position['position_id']}/{number}",
            position_id=position["position_id"],
            sequence=number,
            event_type=kind,
            payload=json.dumps(payload, default=str),
            idempotency_key=f"{position['position_id']}:{number}",
            occurred_at=at(self.second),
            recorded_at=at(self.second + 0.2),
        )

    def deposit(self, broker: BrokerAccount, amount: Decimal) -> None:
        self.second += 1
        number = self.transact(broker, "TRANSFER_FUNDS", amount, amount=str(amount))
        self.book(broker, "DEPOSIT" if amount > 0 else "WITHDRAWAL", amount, number)

    def finance(self, broker: BrokerAccount, amount: Decimal) -> None:
        self.second += 1
        self.book(broker, "FINANCING", amount, self.transact(broker, "DAILY_FINANCING", amount, financing=str(amount)))

    def dividend(self, broker: BrokerAccount, amount: Decimal) -> None:
        self.second += 1
        number = self.transact(broker, "DIVIDEND_ADJUSTMENT", amount, dividendAdjustment=str(amount))
        self.book(broker, "DIVIDEND", amount, number)

    def trade(self, broker: BrokerAccount, instrument: str, units: Decimal, pips: int, *, hedge: bool) -> None:
        """A market order: hedged it opens a trade, netted it closes opposite trades first, oldest first."""
        self.second += 1
        order = self.transact(broker, "MARKET_ORDER", instrument=instrument, units=str(units))
        closed, left = [], units
        for trade in list(broker.trades.values()):
            if not hedge and trade.instrument == instrument and (trade.units > 0) != (left > 0) and left:
                taken = min(abs(trade.units), abs(left)).copy_sign(left)
                closed.append((trade, taken))
                left -= taken
        self.fill(broker, order, "MARKET_ORDER", instrument, closed, left, pips)

    def close(self, broker: BrokerAccount, trade: Trade, part: Decimal, pips: int) -> None:
        """Close a trade, or a part of it (0 < part ≤ 1)."""
        self.second += 1
        units = (-trade.units * part).to_integral_value() or -trade.units
        order = self.transact(broker, "MARKET_ORDER", instrument=trade.instrument, units=str(units))
        self.fill(broker, order, "MARKET_ORDER_TRADE_CLOSE", trade.instrument, [(trade, units)], ZERO, pips)

    def stop(self, broker: BrokerAccount, trade: Trade, kind: str) -> None:
        """The market reaches a stop loss or take profit."""
        self.second += 1
        at_price = trade.position["stop_loss" if kind == "STOP_LOSS" else "take_profit"]
        pips = int((at_price - START[trade.instrument]) / PIP[trade.instrument])
        self.fill(broker, trade.stops[kind], f"{kind}_ORDER", trade.instrument, [(trade, -trade.units)], ZERO, pips)

    def move_stop(self, broker: BrokerAccount, trade: Trade) -> None:
        """Replace the stop loss by one a little farther from the price."""
        self.second += 1
        farther = PIP[trade.instrument] * (-1 if trade.units > 0 else 1)
        trade.position["stop_loss"] += farther
        self.transact(broker, "ORDER_CANCEL", orderID=trade.stops["STOP_LOSS"], reason="CLIENT_REQUEST_REPLACED")
        price = str(trade.position["stop_loss"])
        trade.stops["STOP_LOSS"] = self.transact(broker, "STOP_LOSS_ORDER", tradeID=trade.trade_id, price=price)

    def trail(self, broker: BrokerAccount, trade: Trade) -> None:
        """Place a trailing stop beside the stop loss, or take it away again."""
        self.second += 1
        kind = "TRAILING_STOP_LOSS"
        if kind in trade.stops:
            self.transact(broker, "ORDER_CANCEL", orderID=trade.stops.pop(kind), reason="CLIENT_REQUEST")
        else:
            trade.stops[kind] = self.transact(broker, f"{kind}_ORDER", tradeID=trade.trade_id, distance="0.1")

    def rest(self, broker: BrokerAccount, instrument: str, units: Decimal) -> None:
        """Place an order that waits for its price for ever, or withdraw the last one."""
        self.second += 1
        orders = [row for row in self.books.rows("orders") if row["account_id"] == broker.account_id]
        resting = [row for row in orders if row["status"] == "submitted"]
        if len(resting) > 2:
            resting[-1].update(status="cancelled", updated_at=at(self.second + 0.2))
            self.transact(broker, "ORDER_CANCEL", orderID=resting[-1]["broker_order_id"], reason="CLIENT_REQUEST")
            return
        number = self.transact(broker, "LIMIT_ORDER", instrument=instrument, units=str(units), price="0.5")
        self.row(
            "orders",
            order_id=f"{broker.account_id} order {number}",
            account_id=broker.account_id,
            client_order_id=f"client {number}",
            broker_order_id=number,
            instrument=instrument,
            units=units,
            order_type="LIMIT",
            status="submitted",
            created_at=at(self.second),
            updated_at=at(self.second + 0.2),
        )

    def fill(  # noqa: PLR0917  what an ORDER_FILL holds
        self,
        broker: BrokerAccount,
        order: str,
        reason: str,
        instrument: str,
        closed: list[tuple[Trade, Decimal]],
        opened: Decimal,
        pips: int,
    ) -> None:
        price = START[instrument] + pips * PIP[instrument]
        rate = RATES[instrument[4:], broker.currency]
        units = sum((taken for _, taken in closed), opened)
        commission = (abs(units) * Decimal("0.00003")).quantize(CENT, ROUND_HALF_EVEN)
        parts = [(trade, taken, money_of(trade, taken, price, rate)) for trade, taken in closed]
        number = str(len(broker.transactions_) + 1)
        body = [
            {"tradeID": trade.trade_id, "units": str(taken), "price": str(price), "realizedPL": str(pl)}
            for trade, taken, pl in parts
        ]
        whole = [part for part, (trade, taken, _) in zip(body, parts, strict=True) if trade.units == -taken]
        rest = [part for part, (trade, taken, _) in zip(body, parts, strict=True) if trade.units != -taken]
        total = sum((pl for *_, pl in parts), ZERO)
        self.transact(
            broker,
            "ORDER_FILL",
            total - commission,
            orderID=order,
            clientOrderID=f"client {order}",
            instrument=instrument,
            units=str(units),
            price=str(price),
            reason=reason,
            pl=str(total),
            commission=str(commission),
            fullPrice={"timestamp": text_at(self.second)},
            tradesClosed=whole,
            **({"tradeReduced": rest[0]} if rest else {}),
            **({"tradeOpened": {"tradeID": number, "units": str(opened), "price": str(price)}} if opened else {}),
        )
        order_row = self.row(
            "orders",
            order_id=f"{broker.account_id} order {order}",
            account_id=broker.account_id,
            client_order_id=f"client {order}",
            broker_order_id=order,
            instrument=instrument,
            units=units,
            order_type=reason,
            status="filled",
            created_at=at(self.second),
            updated_at=at(self.second + 0.2),
        )
        for trade, taken, pl in parts:
            self._close_part(broker, order_row, trade, Deal(number, taken, price, rate, pl, commission), reason)
            commission = ZERO
        if opened:
            self._open(broker, order_row, Deal(number, opened, price, rate, ZERO, commission))
        self._settle_orders(broker, order_row)

    def _settle_orders(self, broker: BrokerAccount, order: Row) -> None:
        """Stops of closed trades end with them."""
        order["position_id"] = self.books.rows("executions")[-1]["position_id"]
        for trade in [trade for trade in broker.trades.values() if not trade.units]:
            for stop in trade.stops.values():
                if stop != order["broker_order_id"]:
                    self.transact(broker, "ORDER_CANCEL", orderID=stop, reason="LINKED_TRADE_CLOSED")
            del broker.trades[trade.trade_id]

    def _open(self, broker: BrokerAccount, order: Row, deal: "Deal") -> None:
        instrument, side = order["instrument"], 1 if deal.units > 0 else -1
        stop, target = (deal.price - side * 40 * PIP[instrument], deal.price + side * 40 * PIP[instrument])
        position = self.row(
            "positions",
            position_id=f"{broker.account_id} position {deal.number}",
            account_id=broker.account_id,
            broker_trade_id=deal.number,
            instrument=instrument,
            units=deal.units,
            units_open=deal.units,
            entry_price=deal.price,
            stop_loss=stop,
            take_profit=target,
            margin_used=Decimal(22),
            status="open",
            realized_pnl=ZERO,
            opened_at=at(self.second),
        )
        trade = Trade(deal.number, instrument, deal.units, deal.price, position)
        broker.trades[deal.number] = trade
        self.tell(position, "POSITION_CREATED", instrument=instrument, units=deal.units, entry_price=deal.price)
        self._execute(broker, order, position, deal)
        self.tell(position, "MARGIN_RESERVED", margin_used=22)
        for kind, price in (("STOP_LOSS", stop), ("TAKE_PROFIT", target)):
            trade.stops[kind] = self.transact(
                broker, f"{kind}_ORDER", tradeID=deal.number, price=str(price), triggerCondition="DEFAULT"
            )

    def _close_part(self, broker: BrokerAccount, order: Row, trade: Trade, deal: "Deal", reason: str) -> None:
        position = trade.position
        trade.units += deal.units
        position["units_open"] = trade.units
        position["realized_pnl"] += deal.pl
        self._execute(broker, order, position, deal)
        if trade.units:
            self.tell(position, "PARTIAL_CLOSE", units_open=trade.units)
        self.tell(position, "PNL_REALIZED", realized_pnl=deal.pl)
        if not trade.units:
            stopped = reason in ("STOP_LOSS_ORDER", "TAKE_PROFIT_ORDER")
            close_reason = reason.removesuffix("_ORDER") if stopped else "MARKET"
            position.update(status="closed", margin_used=ZERO, close_reason=close_reason, closed_at=at(self.second))
            self.tell(position, "MARGIN_RELEASED", margin_used=0)
            self.tell(position, "POSITION_CLOSED", close_reason=close_reason)

    def _execute(self, broker: BrokerAccount, order: Row, position: Row, deal: "Deal") -> None:
        execution = self.row(
            "executions",
            execution_id=f"{position['position_id']} fill {deal.number}",
            account_id=broker.account_id,
            order_id=order["order_id"],
            position_id=position["position_id"],
            broker_transaction_id=deal.number,
            instrument=order["instrument"],
            units=deal.units,
            price=deal.price,
            conversion_rate=deal.rate,
            realized_pnl=deal.pl,
            commission=deal.commission,
            executed_at=at(self.second),
        )
        self.tell(position, "ORDER_FILLED", execution_id=execution["execution_id"], units=deal.units, price=deal.price)
        self.book(broker, "PNL_REALIZED", deal.pl, deal.number, execution)
        self.book(broker, "COMMISSION", -deal.commission, deal.number, execution)

    def finished(self) -> Books:
        """Value the accounts and reconcile once; no more operations after that."""
        self.second += 1
        for account in self.books.rows("accounts"):
            broker = self.brokers[account["account_id"]]
            equity, used = account["balance"] + len(broker.trades), Decimal(22 * len(broker.trades))
            account.update(equity=equity, margin_used=used, margin_available=equity - used, updated_at=at(self.second))
            self.row(
                "reconciliations",
                reconciliation_id=f"r {account['account_id']}",
                account_id=account["account_id"],
                started_at=at(self.second),
                duration_ms=Decimal("3.25"),
                positions_checked=len(broker.trades),
                mismatches=0,
            )
        self.books.reads = self.second  # so that the moment of the snapshot lies after all of it
        return self.books


@dataclass(frozen=True)
class Deal:
    """One part of a fill: signed units dealt, what it earned and cost in the account's currency."""

    number: str
    units: Decimal
    price: Decimal
    rate: Decimal
    pl: Decimal
    commission: Decimal


def money_of(trade: Trade, taken: Decimal, price: Decimal, rate: Decimal) -> Decimal:
    """What closing `taken` units (against the trade) earns, as the broker rounds it."""
    return (-taken * (price - trade.price) * rate).quantize(CENT, ROUND_HALF_EVEN)


def lived(steps: list[tuple[str, int, int, int]], accounts: dict[str, str] | None = None) -> Life:
    """The life of these steps: (operation, account, size, price)."""
    life = Life(accounts or {"it's a": "USD", "b": "EUR"})
    brokers = list(life.brokers.values())
    for broker in brokers:
        life.deposit(broker, Decimal("1000.1234"))
    for kind, which, size, pips in steps:
        broker = brokers[which % len(brokers)]
        trades = list(broker.trades.values())
        instrument = list(PIP)[size % 3]
        match kind:
            case "deposit":
                life.deposit(broker, Decimal(size) - 7 or Decimal(1))
            case "finance" | "dividend":
                getattr(life, kind)(broker, Decimal(pips or 1) * CENT)
            case "hedge" | "net":
                units = Decimal(size * 37 * (1 if pips % 2 else -1))
                life.trade(broker, instrument, units, pips, hedge=kind == "hedge")
            case "close" if trades:
                life.close(broker, trades[size % len(trades)], Decimal(1) if pips % 2 else Decimal("0.4"), pips)
            case "rest":
                life.rest(broker, instrument, Decimal(size))
            case "move_stop" | "trail" if trades:
                getattr(life, kind)(broker, trades[size % len(trades)])
            case "stop_loss" | "take_profit" if trades:
                life.stop(broker, trades[size % len(trades)], kind.upper())
    life.finished()
    return life


KINDS = (
    "deposit",
    "finance",
    "dividend",
    "hedge",
    "net",
    "close",
    "stop_loss",
    "take_profit",
    "move_stop",
    "trail",
    "rest",
)
