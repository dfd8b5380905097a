"""What the pages of gate 4 show, read from the rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gates.live_capital.days import Day
from gates.live_capital.limits import AMOUNT, DAILY, END, INSTRUMENT, MARGIN, RATE, SIZE, TOTAL
from gates.live_capital.plans import AUDIT
from gates.models import CapitalPlan, Run, Slot, SlotResult
from gates.queries import critical_of_the_watch

LIMIT_RULES = (AMOUNT, DAILY, END, INSTRUMENT, MARGIN, RATE, SIZE, TOTAL)
FULL = Decimal(100)


@dataclass(frozen=True, slots=True)
class Used:
    """How much of one limit was used at worst: `part` of 100, capped for drawing; the numbers never are."""

    name: str
    used: str
    limit: str
    part: float
    status: str

    @property
    def words(self) -> str:
        return {"passed": "within it", "inconclusive": "nearly used up", "failed": "broken"}.get(
            self.status, "not seen"
        )


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of this month beside the same of gate 1."""

    name: str
    live: str
    rehearsed: str
    formula: str


def limits_used(run: Run, plan: CapitalPlan) -> list[Used]:
    """Return each limit of the plan with the most of it that any look saw."""
    names = ("day_loss", "total_loss", "most_a_minute", "largest_order")
    rows = SlotResult.objects.filter(slot__run=run, slot__check_name="limits", measured__has_key="nav")
    seen = list(rows.values_list(*(f"measured__{name}" for name in names)))
    worst = [max((Decimal(str(row[n])) for row in seen if row[n] is not None), default=None) for n in range(len(names))]
    usd = (" USD", 2)
    shown = (
        ("Loss of one day", worst[0], plan.daily_loss, usd),
        ("Loss since the plan began", worst[1], plan.total_loss, usd),
        ("Orders within a minute", worst[2], Decimal(plan.orders_per_minute), ("", 0)),
        ("Largest order", worst[3], plan.order_size, (" units", 0)),
    )
    return [_used(*each) for each in shown]


def _used(name: str, worst: Decimal | None, limit: Decimal, unit: tuple[str, int]) -> Used:
    word, digits = unit
    allowed = f"{limit:,.{digits}f}{word}"
    if worst is None:
        return Used(name, "not seen yet", allowed, 0, "waiting")
    used = max(Decimal(0), worst)
    part = used / limit * FULL
    status = "failed" if used > limit else "inconclusive" if part >= 80 else "passed"
    return Used(name, f"{used:,.{digits}f}{word}", allowed, float(min(part, FULL)), status)


def figures(live: Mapping[str, Any], rehearsed: Mapping[str, Any]) -> list[Figure]:
    """Return what was earned and paid, beside gate 1's; nothing before the first day is over."""
    if not live:
        return []
    return [
        Figure(name, _shown(live.get(key), unit), _shown(rehearsed.get(key), unit), formula)
        for name, key, unit, formula in _FIGURES
    ]


_FIGURES = (
    ("Realised, net", "net", "USD", "fills' pl + financing + dividends − commission"),
    ("Unrealised", "unrealised", "USD", "net asset value − balance"),
    ("Deepest drawdown", "drawdown", "USD", "the most that the equity curve fell from a peak before"),
    ("Trades closed", "trades", "", "counted when their last part closed"),
    ("Win rate", "win_rate", "%", "trades with a result above zero ÷ all closed"),
    ("Profit factor", "profit_factor", "", "gross profit ÷ gross loss"),
    ("Costs", "costs", "USD", "spread + commission − financing"),
    ("of which spread", "spread", "USD", "Σ half spread of each fill; within realised already"),
    ("of which commission", "commission", "USD", "Σ commission and fees for guaranteed stops"),
    ("Financing received", "financing", "USD", "Σ financing; negative where it was paid"),
    ("Stops touched and executed", "executed", "", "each by the broker's own prices"),
    ("Stop latency, median", "latency_median_ms", "ms", "from the touching price to the fill"),
    ("Stop latency, worst", "latency_worst_ms", "ms", "from the touching price to the fill"),
    ("Slippage, worst", "slippage_worst_pips", "pips", "fill against stop price; positive is against the trade"),
)


def _shown(value: Any, unit: str) -> str:
    if value in (None, ""):
        return "–"
    if unit == "USD":
        return f"{Decimal(str(value)):,.4f}"
    if unit == "%":
        return f"{Decimal(str(value)) * 100:.1f} %"
    if unit == "ms":
        return f"{float(value):,.0f} ms"
    return f"{value} {unit}".strip()


@dataclass(frozen=True, slots=True)
class Audit:
    """One full audit of the month."""

    slot: Slot
    day: int
    checks: int
    passed: int
    rows: int
    manifest_sha256: str


def audits_of(run: Run, days: Sequence[Day]) -> list[Audit]:
    """Return every full audit of the month in order, done or still to come."""
    slots = run.slots.filter(check_name=AUDIT).select_related("result").order_by("due_at")
    return [_audit(slot, days) for slot in slots]


def _audit(slot: Slot, days: Sequence[Day]) -> Audit:
    measured = slot.result.measured if hasattr(slot, "result") else {}
    checks = measured.get("checks") or []
    day = next((day.number for day in days if day.start < slot.window_end <= day.end), len(days))
    return Audit(
        slot=slot,
        day=day,
        checks=len(checks),
        passed=sum(line["verdict"] == "passed" for line in checks),
        rows=int(measured.get("rows") or 0),
        manifest_sha256=str((measured.get("snapshot") or {}).get("manifest_sha256") or ""),
    )


def stop_reason(run: Run) -> str:
    """Return why the target should be stopped, or nothing: a broken limit, a critical error, a person's hand."""
    worst = run.findings.filter(level="critical").order_by("-pk").first()
    broken = run.findings.filter(rule__in=LIMIT_RULES).order_by("pk").first()
    event = run.events.filter(level="critical").exclude(kind="stop").order_by("pk").first()
    watched = critical_of_the_watch(run).order_by("event_at").first()
    why = broken or worst or event or watched
    return why.sentence if why else ""
