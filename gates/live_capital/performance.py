"""Performance: what an account earned and what it paid for it, from the broker's own records. Pure, exact decimals.

Sources: the account's words (NAV, unrealizedPL, halfSpreadCost, commission, financing) are OANDA v20's; the ratios are
those that traders' reports use, each with its formula at its name.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from audits.transactions import FILL, Record, change_of, exact, moment_of, required

ZERO = Decimal(0)
RATIO = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Equity:
    """One moment of an account: balance and NAV in its currency, margin in use and the value of its positions.

    NAV = balance + unrealizedPL (OANDA v20, account definitions).
    """

    at: datetime
    balance: Decimal
    nav: Decimal
    margin_used: Decimal = ZERO
    position_value: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall of the equity curve from an earlier peak.

    Maximum drawdown = max over t of (max over s ≤ t of E(s) − E(t)) (Magdon-Ismail and Atiya, Maximum Drawdown, Risk,
    2004); `part` is that fall as a share of its peak.
    """

    amount: Decimal
    part: Decimal
    peak_at: datetime | None = None
    trough_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Performance:
    """What the transactions of a stretch of time amount to, in the account's currency.

    realised         Σ pl of all fills: profits and losses that were taken (OANDA v20, OrderFillTransaction.pl)
    financing        Σ financing: received if positive, paid if negative (fills, DAILY_FINANCING)
    commission       Σ commission, fees for guaranteed stops included; always a cost
    spread           Σ halfSpreadCost of all fills: what crossing half the spread cost, contained in realised already
    dividends        Σ dividendAdjustment
    moved            deposits less withdrawals
    trades, wins, losses   trades that were closed, in whole or by their last part, and those with a result above or
                     below zero; a trade's result is Σ realizedPL over all fills that reduced or closed it
    gross_profit, gross_loss   Σ of the results above zero, and of those below zero without its sign
    """

    realised: Decimal = ZERO
    financing: Decimal = ZERO
    commission: Decimal = ZERO
    spread: Decimal = ZERO
    dividends: Decimal = ZERO
    moved: Decimal = ZERO
    trades: int = 0
    wins: int = 0
    losses: int = 0
    gross_profit: Decimal = ZERO
    gross_loss: Decimal = ZERO

    @property
    def net(self) -> Decimal:
        """What the balance gained but for money that was moved: realised + financing + dividends − commission.

        Rule of the balance: OANDA v20's, see `audits.transactions.change_of`.
        """
        return self.realised + self.financing + self.dividends - self.commission

    @property
    def costs(self) -> Decimal:
        """What trading cost: spread + commission − financing, a financing received lowering it."""
        return self.spread + self.commission - self.financing

    @property
    def win_rate(self) -> Decimal | None:
        """Winning trades as a share of all closed ones, those that broke even included; None before the first."""
        return None if not self.trades else (Decimal(self.wins) / self.trades).quantize(RATIO)

    @property
    def profit_factor(self) -> Decimal | None:
        """Gross profit / gross loss; None where nothing was lost, for there it is not a number."""
        return None if not self.gross_loss else (self.gross_profit / self.gross_loss).quantize(RATIO)

    def as_text(self) -> dict[str, Any]:
        """Return every figure for JSON, money as text."""
        names = [field.name for field in fields(self)]
        values = {name: getattr(self, name) for name in (*names, "net", "costs", "win_rate", "profit_factor")}
        return {name: f"{value:f}" if isinstance(value, Decimal) else value for name, value in values.items()}

    @classmethod
    def read(cls, text: Mapping[str, Any]) -> Self:
        """Read it back from JSON."""
        values: dict[str, Any] = {field.name: Decimal(text[field.name]) for field in fields(cls)}
        return cls(**values | {name: int(text[name]) for name in ("trades", "wins", "losses")})


def performance(transactions: Iterable[Record], *, opened: Mapping[str, Decimal] | None = None) -> Performance:
    """Add the transactions up. `opened` has the results so far of trades that were open before the first of them."""
    records = tuple(transactions)
    fills = [record for record in records if record.get("type") == FILL]
    results = _results(fills, dict(opened or {}))
    wins, losses = [each for each in results if each > 0], [each for each in results if each < 0]
    return Performance(
        realised=_sum(fills, "pl"),
        financing=_sum(records, "financing"),
        commission=_sum(records, "commission") + _sum(records, "guaranteedExecutionFee"),
        spread=_sum(fills, "halfSpreadCost"),
        dividends=_sum(records, "dividendAdjustment"),
        moved=sum((change_of(record) for record in records if record.get("type") == "TRANSFER_FUNDS"), ZERO),
        trades=len(results),
        wins=len(wins),
        losses=len(losses),
        gross_profit=sum(wins, ZERO),
        gross_loss=-sum(losses, ZERO),
    )


def drawdown(curve: Sequence[Equity]) -> Drawdown:
    """Return the deepest fall of NAV from a peak before it; nothing seen fell by nothing."""
    worst, peak = Drawdown(ZERO, ZERO), None
    for moment in curve:
        if peak is None or moment.nav > peak.nav:
            peak = moment
        fall = peak.nav - moment.nav
        if fall > worst.amount:
            part = (fall / peak.nav).quantize(RATIO) if peak.nav > 0 else ZERO
            worst = Drawdown(fall, part, peak.at, moment.at)
    return worst


def moved_since(transactions: Iterable[Record], start: datetime) -> Decimal:
    """Return deposits less withdrawals from `start` on."""
    return sum(
        (
            change_of(record)
            for record in transactions
            if record.get("type") == "TRANSFER_FUNDS" and moment_of(required(record, "time")) >= start
        ),
        ZERO,
    )


def _results(fills: Iterable[Record], results: dict[str, Decimal]) -> list[Decimal]:
    """The result of each trade that was closed, in the order of closing."""
    closed = []
    for record in fills:
        reduced = record.get("tradeReduced")
        for part in (*(record.get("tradesClosed") or ()), *((reduced,) if reduced else ())):
            trade_id = required(part, "tradeID")
            results[trade_id] = results.get(trade_id, ZERO) + (exact(part, "realizedPL") or ZERO)
        closed += [results[required(part, "tradeID")] for part in record.get("tradesClosed") or ()]
    return closed


def _sum(records: Iterable[Record], field: str) -> Decimal:
    return sum((exact(record, field) or ZERO for record in records), ZERO)
