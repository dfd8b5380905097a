"""Which curves the page of gate 4 shows, and which measured value each line reads."""

from collections.abc import Sequence

from gates.pages.curves import Curve, Sample, Trace

LIVE_CURVES = (
    Curve(
        "equity",
        "Equity: net asset value and balance",
        "USD",
        (Trace("nav", "net asset value", "--running"), Trace("balance", "balance", "--inconclusive", dash="dot")),
        ticks=",.2f",
        empty="Appears with the first look at the limits.",
    ),
    Curve(
        "pnl",
        "Profit and loss: realised, unrealised",
        "USD",
        (Trace("net", "realised, net of costs", "--passed"), Trace("unrealised", "unrealised", "--inconclusive")),
        ticks=",.2f",
        empty="Appears when the first day is over.",
    ),
    Curve(
        "drawdown",
        "Loss: today, and since the plan began",
        "USD",
        (Trace("day_loss", "today", "--inconclusive"), Trace("total_loss", "since the plan began", "--failed")),
        ticks=",.2f",
        empty="Appears with the first look at the limits.",
    ),
    Curve(
        "exposure",
        "Exposure: value of open positions, margin in use",
        "USD",
        (Trace("position_value", "positions", "--running"), Trace("margin_used", "margin", "--passed", dash="dot")),
        ticks=",.0f",
        empty="Appears with the first look at the limits.",
    ),
    Curve(
        "costs",
        "Costs so far",
        "USD",
        (
            Trace("spread", "spread", "--running"),
            Trace("commission", "commission", "--failed", dash="dot"),
            Trace("paid_financing", "financing", "--inconclusive"),
        ),
        ticks=",.2f",
        empty="Appears when the first day is over.",
    ),
    Curve(
        "stops",
        "Latency of stop-loss and take-profit executions",
        "ms",
        (Trace("latencies_ms", "execution", "--passed", points=True),),
        empty="Appears with the first touch of a stop.",
    ),
)
OF_LIMITS = frozenset({"nav", "balance", "unrealised", "position_value", "margin_used"})


def ready(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples with financing as what was paid, and without the account's figures of a day's end: the curve
    of each figure is drawn from one check only."""
    drawn = []
    for sample in samples:
        measured = sample.measured
        if "financing" in measured:
            kept = {name: value for name, value in measured.items() if name not in OF_LIMITS}
            measured = kept | {"paid_financing": _negative(str(measured["financing"]))}
        drawn.append(Sample(sample.at, measured))
    return drawn


def _negative(amount: str) -> str:
    """The amount with the other sign, as text."""
    if not amount.strip("-0."):
        return amount.lstrip("-")
    return amount[1:] if amount.startswith("-") else f"-{amount}"
