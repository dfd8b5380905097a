"""Findings since a moment: what was found at older rows is set aside, counted and said; nothing is judged less for it.

Checks always look at the whole books, since a chain or a total has no meaning in a part of them. A finding is dated by
the newest of the rows that it names. Two kinds stay: what names no row with a time, such as the balance at the broker,
and what names a position or a trade that is still open, for that is wrong today, whenever it began.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import duckdb

from audits.around import keys_of
from audits.checks import Check
from audits.findings import Finding, grouped
from audits.judge import CheckResult, judging
from audits.snapshot import Snapshot
from audits.tables import opened
from audits.touch_table import CANDLE_S
from audits.verdicts import Verdict

# (kind of key, [(relation, column of the key, its time)]). A candle is as new as its end.
_TIMES = (
    ("event", [("balance_events", "event_id", "recorded_at"), ("position_events", "event_id", "recorded_at")]),
    ("execution", [("executions", "execution_id", "executed_at")]),
    ("transaction", [("broker_transactions", "id", "time")]),
    ("order", [("orders", "order_id", "updated_at")]),
    ("reconciliation", [("reconciliations", "reconciliation_id", "started_at")]),
    ("candle", [("broker_candles", "candle_id", f"opened_at + INTERVAL {CANDLE_S} SECOND")]),
    ("position", [("position_events", "position_id", "recorded_at"), ("executions", "position_id", "executed_at")]),
)
# Where a position or a trade that still stands is found, by its key: (kind of key, relation, column, which rows).
_OPEN = (
    ("position", "positions", "position_id", "status = 'open'"),
    ("trade", "positions", "broker_trade_id", "status = 'open'"),
    ("trade", "broker_trades", "trade_id", "true"),
)
# What was wrong for a time that is over: dated by the deed that ended it, however long its position lives on.
_OVER = frozenset({"unprotected"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def judging_since(snapshot: Snapshot, checks: Sequence[Check], since: datetime | None) -> Iterator[CheckResult]:
    """Yield the result of each check, as `judging` does, without what was found before `since` (None: with all)."""
    for result in judging(snapshot, checks):
        yield result if since is None else set_aside(result, snapshot, since)


def set_aside(result: CheckResult, snapshot: Snapshot, since: datetime) -> CheckResult:
    """Return the result without its older findings; a check that then has none is inconclusive, never passed.

    Of a rule of which more was found than is kept, nothing is set aside, for the rest cannot be dated.
    """
    kept = {group.rule: sum(found.rule == group.rule for found in result.findings) for group in result.groups}
    whole = {group.rule for group in result.groups if kept[group.rule] == group.count}
    dated = _moments(snapshot, [found for found in result.findings if found.rule in whole])
    older = [found for found, moment in dated if moment is not None and moment < since]
    if not older:
        return result
    left = tuple(found for found in result.findings if not any(found is one for one in older))
    groups = [group for group in result.groups if group.rule not in whole]
    groups += grouped(found for found in left if found.rule in whole)
    words = f"{len(older)} findings at rows from before {since.isoformat()} were set aside"
    if groups:
        ordered = tuple(sorted(groups, key=lambda group: group.rule))
        return replace(result, findings=left, groups=ordered, notes=(*result.notes, words))
    reason = "; ".join(filter(None, (result.reason, words)))
    return replace(result, verdict=Verdict.INCONCLUSIVE, findings=(), groups=(), reason=reason)


def _moments(snapshot: Snapshot, findings: Sequence[Finding]) -> list[tuple[Finding, datetime | None]]:
    """Return each finding with the newest moment of the rows that it names; None where it stays."""
    keys = [keys_of(found.where) for found in findings]
    with opened(snapshot) as database:
        times = {
            kind: _newest(database, snapshot, places, {key for each in keys for key in each[kind]})
            for kind, places in _TIMES
        }
        still_open = _still_open(database, snapshot, keys)
    dated = []
    for found, each in zip(findings, keys, strict=True):
        is_over = found.rule in _OVER
        stays = not is_over and any(key in still_open[kind] for kind in still_open for key in each[kind])
        dated.append((found, None if stays else _newest_of(each, times, deeds_only=is_over)))
    return dated


def _newest_of(
    keys: dict[str, list[str]], times: dict[str, dict[str, datetime]], *, deeds_only: bool
) -> datetime | None:
    kinds = [kind for kind, _ in _TIMES if not (deeds_only and kind == "position")]
    return max((times[kind][key] for kind in kinds for key in keys[kind] if key in times[kind]), default=None)


def _still_open(
    database: duckdb.DuckDBPyConnection, snapshot: Snapshot, keys: Sequence[dict[str, list[str]]]
) -> dict[str, set[str]]:
    """Return which of the positions and trades named are open, here or at the broker."""
    found: dict[str, set[str]] = {"position": set(), "trade": set()}
    for kind, relation, column, where in _OPEN:
        named = sorted({key for each in keys for key in each[kind]})
        if named and relation in snapshot.relations:
            query = f"SELECT {column} FROM {relation} WHERE {where} AND {column} IN (SELECT unnest(?))"  # noqa: S608
            found[kind].update(key for (key,) in database.execute(query, [named]).fetchall())
    return found


def _newest(
    database: duckdb.DuckDBPyConnection, snapshot: Snapshot, places: Iterable[tuple[str, str, str]], keys: set[str]
) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for relation, column, moment in places if keys else ():
        if relation not in snapshot.relations:
            continue
        query = f'SELECT "{column}", max(epoch_us({moment})) FROM "{relation}" WHERE "{column}" IN (SELECT unnest(?)) GROUP BY 1'  # noqa: S608, E501
        for key, micros in database.execute(query, [sorted(keys)]).fetchall():
            if micros is not None:
                found[key] = max(found.get(key, _EPOCH), _EPOCH + timedelta(microseconds=micros))
    return found
