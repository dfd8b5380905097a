"""Part of check 14: SQL that finds times which are out of order or out of range, each row looked at once."""

from collections.abc import Sequence

# Tables that several checks share are about a relation that people know.
_ABOUT = {"deals": "positions", "stories": "positions"}

# (rule, what must not come before, what, within how many milliseconds)
Before = tuple[str, str, str, int]
# (rows, their key, what must not come before what, the times that must be in range)
Times = tuple[str, str, Sequence[Before], tuple[str, ...]]


def odd_times_sql(all_times: Sequence[Times], earliest: str, skew_ms: int) -> str:
    """Return the SELECT of the findings. Rows of which nothing is odd are left out by one comparison of integers."""
    odd, found = [], []
    for number, (rows, key, before, in_range) in enumerate(all_times):
        tests = [_early(each) for each in before] + [_outside(time, earliest, skew_ms) for time in in_range]
        times = sorted({time for _, early, late, _ in before for time in (early, late)} | set(in_range))
        relation = _ABOUT.get(rows.split()[0], rows.split()[0])
        odd.append(
            f"odd{number} AS MATERIALIZED (SELECT {key} AS key, {', '.join(times)}, '{relation}' AS relation "
            f"FROM {rows} WHERE {' OR '.join(tests)})"
        )
        found += [_before_sql(f"odd{number}", each) for each in before]
        found += [_range_sql(f"odd{number}", time, _outside(time, earliest, skew_ms)) for time in in_range]
    return f"WITH {', '.join(odd)} {' UNION ALL '.join(found)}"


def _early(before: Before) -> str:
    _, early, late, within_ms = before
    return f"epoch_us({early}) < epoch_us({late}) - {within_ms * 1000}"


def _outside(time: str, earliest: str, skew_ms: int) -> str:
    moment = f"(SELECT moment + INTERVAL {skew_ms} MILLISECOND FROM this)"
    return f"{time} < '{earliest}'::TIMESTAMPTZ OR {time} > {moment}"


def _before_sql(odd: str, before: Before) -> str:
    rule, early, late, _ = before
    return f"""
        SELECT '{rule}' AS rule, '{early} not before ' || {late} AS expected, {early}::VARCHAR AS measured,
               (epoch_us({early}) - epoch_us({late}))::DECIMAL(30, 0) * 0.001 AS difference, key::VARCHAR AS key,
               relation
        FROM {odd} WHERE {_early(before)}
    """


def _range_sql(odd: str, time: str, outside: str) -> str:
    return f"""
        SELECT 'time out of range', 'between 1970 and the audit', {time}::VARCHAR, NULL, key, relation
        FROM {odd} WHERE {outside}
    """
