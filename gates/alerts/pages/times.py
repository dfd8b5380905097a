"""How fast alerts are raised and delivered, against the five seconds that regulation asks for (RTS 6, article 16(5)).

Reckoned in PostgreSQL, over a stretch of time and the newest alerts in it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

LIMIT_S = 5.0
MOST_ALERTS = 100_000
STRETCHES = {
    "1 h": timedelta(hours=1),
    "24 h": timedelta(days=1),
    "7 days": timedelta(days=7),
    "30 days": timedelta(days=30),
}
ASKED_FOR = "30 days"

SQL = """
    WITH recent AS (
        SELECT rule, level, delivered_at IS NOT NULL AS told,
            extract(epoch FROM raised_at - event_at)::float8 AS raised_s,
            extract(epoch FROM delivered_at - event_at)::float8 AS delivered_s
        FROM (SELECT * FROM gates_alert ORDER BY id DESC LIMIT %s) newest WHERE raised_at > %s)
    SELECT rule, level, count(*), count(*) FILTER (WHERE told),
        percentile_disc(0.5) WITHIN GROUP (ORDER BY raised_s), percentile_disc(0.99) WITHIN GROUP (ORDER BY raised_s),
        max(raised_s), count(*) FILTER (WHERE raised_s > %s),
        percentile_disc(0.5) WITHIN GROUP (ORDER BY delivered_s) FILTER (WHERE told),
        percentile_disc(0.99) WITHIN GROUP (ORDER BY delivered_s) FILTER (WHERE told),
        max(delivered_s), count(*) FILTER (WHERE delivered_s > %s)
    FROM recent GROUP BY GROUPING SETS ((rule, level), ())
    ORDER BY grouping(rule), array_position(ARRAY['critical', 'high', 'medium'], level::text), rule
"""


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds since the event of some alerts: half of them within `p50_s`, and how many were later than 5 s."""

    p50_s: float | None
    p99_s: float | None
    max_s: float | None
    late: int

    @property
    def status(self) -> str:
        """In time, too late, or no evidence."""
        return "inconclusive" if self.max_s is None else "failed" if self.late else "passed"


@dataclass(frozen=True, slots=True)
class Line:
    """The times of one rule at one level; of all together where `rule` is None."""

    rule: str | None
    level: str | None
    count: int
    delivered_count: int
    raised: Spread
    delivered: Spread

    @property
    def missing(self) -> int:
        """How many alerts no route has taken."""
        return self.count - self.delivered_count


def times(since: datetime, most: int = MOST_ALERTS) -> list[Line]:
    """Return a line for each rule and level that was raised since then, worst level first, and one of all last.

    Of more alerts than `most` the newest count.
    """
    with connection.cursor() as cursor:
        cursor.execute(SQL, [most, since, LIMIT_S, LIMIT_S])
        rows = cursor.fetchall()
    return [_line(row) for row in rows]


def _line(row: tuple[Any, ...]) -> Line:
    rule, level, count, told = row[:4]
    return Line(rule, level, count, told, Spread(*row[4:8]), Spread(*row[8:12]))


@require_safe
def times_page(request: HttpRequest, *, twin: bool = False) -> HttpResponse:
    wanted = request.GET.get("over", "")
    over = wanted if wanted in STRETCHES else ASKED_FOR
    *lines, together = times(timezone.now() - STRETCHES[over])
    if twin:
        return JsonResponse(
            {"limit_s": LIMIT_S, "over": over, "times": [line_twin(line) for line in (*lines, together)]}
        )
    context = {"lines": lines, "together": together, "over": over, "stretches": tuple(STRETCHES), "limit_s": LIMIT_S}
    return render(request, "gates/alert_times.html", context)


def line_twin(line: Line) -> dict[str, Any]:
    spread = ("p50_s", "p99_s", "max_s", "late")
    return {
        "rule": line.rule,
        "level": line.level,
        "count": line.count,
        "delivered_count": line.delivered_count,
        "event_to_raised": {name: getattr(line.raised, name) for name in spread},
        "event_to_delivered": {name: getattr(line.delivered, name) for name in spread},
    }
