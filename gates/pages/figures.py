"""Which curves the page of a gate-1 run shows, and which measured value each line reads."""

from collections.abc import Sequence

from gates.pages.curves import Curve, Sample, Trace

RUN_CURVES = (
    Curve(
        "balance",
        "Balance: ledger against broker",
        "",
        (
            Trace("broker_balance", "broker", "--running"),
            Trace("ledger_balance", "ledger", "--inconclusive", dash="dot"),
        ),
        ticks=",.2f",  # money is not written in thousands
        empty="Appears with the first positions slot that read both.",
    ),
    Curve(
        "stops",
        "Latency of stop-loss and take-profit executions",
        "ms",
        (Trace("latencies_ms", "execution", "--passed", points=True),),
        limit=100,
        empty="Appears with the first touch of a stop loss or take profit.",
    ),
    Curve(
        "cpu",
        "CPU of the target",
        "%",
        (Trace("cpu_pct", "CPU", "--running"),),
        empty="Appears with the first health slot.",
    ),
    Curve(
        "memory",
        "Memory of the target",
        "MiB",
        (Trace("memory_mib", "memory", "--running"),),
        empty="Appears with the first health slot.",
    ),
)


def ready(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples with `cpu_pct` filled in: CPU seconds used since the sample before, as a share of the time."""
    drawn, before = [], None
    for sample in samples:
        measured = sample.measured
        if "cpu_s" in measured:
            if before and measured.get("pid") == before.measured.get("pid"):
                measured = measured | {"cpu_pct": _cpu_pct(before, sample)}
            before = sample
        drawn.append(Sample(sample.at, measured))
    return drawn


def _cpu_pct(before: Sample, sample: Sample) -> float | None:
    passed_s = (sample.at - before.at).total_seconds()
    used_s = sample.measured["cpu_s"] - before.measured["cpu_s"]
    return round(100 * used_s / passed_s, 1) if passed_s > 0 and used_s >= 0 else None
