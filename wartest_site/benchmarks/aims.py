"""What the figures of a benchmark should be, and whether they are. What was not measured meets nothing. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Aim:
    """A figure `is_least` at least, or else at most, `limit`: a number, or the name of another figure."""

    limit: float | str
    is_least: bool = False

    @property
    def words(self) -> str:
        """`≥ 120`."""
        shown = self.limit if isinstance(self.limit, str) else f"{self.limit:g}"
        return f"{'≥' if self.is_least else '≤'} {shown}"

    def verdict(self, name: str, figures: Mapping[str, float]) -> str:
        """`met`, `missed`, or `not measured`."""
        measured = figures.get(name)
        limit = figures.get(self.limit) if isinstance(self.limit, str) else self.limit
        if measured is None or limit is None:
            return "not measured"
        return "met" if (measured >= limit if self.is_least else measured <= limit) else "missed"


AIMS: Mapping[str, Mapping[str, Aim]] = {
    "chaos": {"points_per_minute": Aim(120, is_least=True), "wall_over_floor": Aim(1.3)},
    "detection": {"exhaustive_found": Aim("defects", is_least=True), "false_alarms": Aim(0)},
    "proxy": {
        "pg_over_haproxy_p50": Aim(3),
        "pg_over_haproxy_p99": Aim(3),
        "http_over_mitmproxy_p50": Aim(0.2),
        "http_over_mitmproxy_p99": Aim(0.2),
    },
}


def lines_of(name: str, figures: Mapping[str, float]) -> list[str]:
    """A line for each figure of a benchmark, its aim beside it; and one for each aim that nothing was measured of."""
    aims = AIMS.get(name, {})
    lines = []
    for figure, number in figures.items():
        line = f"{figure:32} {number:>14,.6g}"
        aim = aims.get(figure)
        lines.append(f"{line}   aim {aim.words}: {aim.verdict(figure, figures)}" if aim else line)
    left = (figure for figure in aims if figure not in figures)
    return [*lines, *(f"{figure:32} {'–':>14}   aim {aims[figure].words}: not measured" for figure in left)]
