"""The curves of a run as figures in JSON. Colours are names of style tokens; money stays text to the last digit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

MOST_POINTS = 600  # per curve: more than a screen shows, few enough to send every few seconds


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment of a run and what was measured then: numbers, or money as decimal text."""

    at: datetime
    measured: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trace:
    """One line of a figure: the key it reads, its name and the style token of its colour."""

    key: str
    name: str
    colour: str
    points: bool = False
    dash: str = "solid"


@dataclass(frozen=True, slots=True)
class Curve:
    """One figure: its title, unit, lines, and a level that is the limit, if there is one."""

    name: str
    title: str
    unit: str
    traces: tuple[Trace, ...]
    limit: float | None = None
    ticks: str = ""  # how the axis writes its numbers, as d3-format says it
    empty: str = field(default="Nothing measured yet.")


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of time to shade: a fault, or the target being away."""

    start: datetime
    end: datetime
    label: str


def figures(
    curves: Iterable[Curve], samples: Sequence[Sample], *, span: tuple[datetime, datetime], bands: Sequence[Band] = ()
) -> dict[str, Any]:
    """Return {curve name: {data, layout}} for Plotly; a sample without a key gives that line no point."""
    return {curve.name: _figure(curve, samples, span, bands) for curve in curves}


def thinned(points: Sequence[tuple[datetime, Any]], most: int = MOST_POINTS) -> list[tuple[datetime, Any]]:
    """Keep at most `most` points: of each stretch its lowest and highest, so that no spike is lost."""
    if len(points) <= most:
        return list(points)
    stretches = max(1, most // 2)
    kept: list[tuple[datetime, Any]] = []
    for n in range(stretches):
        stretch = points[n * len(points) // stretches : (n + 1) * len(points) // stretches]
        ends = {min(stretch, key=_size), max(stretch, key=_size)}
        kept.extend(sorted(ends, key=lambda point: point[0]))
    return kept


def _figure(
    curve: Curve, samples: Sequence[Sample], span: tuple[datetime, datetime], bands: Sequence[Band]
) -> dict[str, Any]:
    shapes = [_band(band) for band in bands]
    if curve.limit is not None:
        shapes.append(_limit(curve.limit))
    return {
        "data": [_trace(trace, samples) for trace in curve.traces],
        "layout": {
            "xaxis": {"type": "date", "range": [_text(span[0]), _text(span[1])]},
            "yaxis": {"type": "linear", "title": {"text": curve.unit}, "tickformat": curve.ticks},
            "showlegend": len(curve.traces) > 1,
            "shapes": shapes,
        },
    }


def _trace(trace: Trace, samples: Sequence[Sample]) -> dict[str, Any]:
    points = thinned([(s.at, value) for s in samples for value in _values(s.measured.get(trace.key))])
    return {
        "type": "scatter",
        "mode": "markers" if trace.points else "lines",
        "name": trace.name,
        "x": [_text(at) for at, _ in points],
        "y": [value for _, value in points],
        "line": {"color": trace.colour, "width": 2, "dash": trace.dash},
        "marker": {"color": trace.colour, "size": 6},
    }


def _values(measured: Any) -> list[Any]:
    """One value, or each of a list; nothing measured gives no point."""
    found = measured if isinstance(measured, list) else [measured]
    return [value for value in found if value not in (None, "")]


def _band(band: Band) -> dict[str, Any]:
    return {
        "type": "rect",
        "yref": "paper",
        "x0": _text(band.start),
        "x1": _text(band.end),
        "y0": 0,
        "y1": 1,
        "fillcolor": "--band",
        "line": {"width": 0},
        "label": {"text": band.label, "textposition": "top left", "font": {"size": 10}},
    }


def _limit(level: float) -> dict[str, Any]:
    line = {"color": "--failed", "width": 1, "dash": "dot"}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": level, "y1": level, "line": line}


def _size(point: tuple[datetime, Any]) -> float:
    """Rank a value for thinning only; what is kept stays exact."""
    try:
        return float(point[1])
    except (TypeError, ValueError):
        return 0.0


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
