"""What each rule says now, written down; what still fires is not resolved, and what was seen to be clean since is."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import connection

from gates.alerts.raising import resolve
from gates.alerts.rechecking import WATCH, standing
from gates.alerts.rules import BY_NAME
from gates.alerts.watching.run_watch import RuleStanding, RunWatch
from gates.models import RuleWatch
from gates.storable import storable

WRITE_AGAIN = timedelta(seconds=5)  # where nothing changed
MOST_WORDS = 500
MOST_ALERTS = 2000
MOST_RESOLVED = 100  # in one look; the next is a second away, and the lease must be renewed meanwhile
COLUMNS = ("state", "words", "looked_at", "clean_at")

Written = dict[tuple[int, str], tuple[str, datetime]]


def keep(watches: Iterable[RunWatch], written: Written, now: datetime) -> None:
    """Do it for all runs that are watched. `written` remembers what stands in the rows, and is brought up to date."""
    watches = list(watches)
    _write(watches, written)
    _still_firing(watches)
    _resolve(watches, now)


def _write(watches: list[RunWatch], written: Written) -> None:
    rows = []
    for watch in watches:
        for name, what in watch.standings.items():
            key = (watch.watched.run_id, name)
            state, at = written.get(key, ("", what.looked_at))
            if state == what.judgement.state and what.looked_at - at < WRITE_AGAIN:
                continue
            written[key] = (what.judgement.state, what.looked_at)
            rows.append(_row(watch.watched.run_id, what))
    RuleWatch.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["run", "rule"], update_fields=list(COLUMNS), batch_size=500
    )


def _row(run_id: int, what: RuleStanding) -> RuleWatch:
    judgement = what.judgement
    words = judgement.breaches[0].sentence if judgement.breaches else judgement.clean or judgement.not_judged
    return RuleWatch(
        run_id=run_id,
        rule=what.rule.name,
        state=judgement.state,
        words=storable(words[:MOST_WORDS]),
        looked_at=what.looked_at,
        clean_at=what.clean_at,
    )


STILL_FIRING = """
    UPDATE gates_alert SET last_at = greatest(last_at, fired.at)
    FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[]) AS fired(run_id, rule, at)
    WHERE gates_alert.run_id = fired.run_id AND gates_alert.rule = fired.rule AND state <> 'resolved'
"""


def _still_firing(watches: list[RunWatch]) -> None:
    """An alert that fires on is seen again: no look of before resolves it. It is not counted again.

    One statement for all: what fires on a hundred targets must not hold up what is new on one.
    """
    fired = [
        (watch.watched.run_id, name, what.looked_at)
        for watch in watches
        for name, what in watch.standings.items()
        if what.fired_at == what.looked_at
    ]
    if fired:
        with connection.cursor() as cursor:
            cursor.execute(STILL_FIRING, [list(column) for column in zip(*fired, strict=True)])


def _resolve(watches: list[RunWatch], now: datetime) -> None:
    """Resolve what the watch alone has seen, of these targets, by a look that began later and was clean."""
    by_world: dict[tuple[int, bool], list[RunWatch]] = {}
    for watch in watches:
        by_world.setdefault((watch.watched.target_id, watch.watched.live), []).append(watch)
    targets = {target_id for target_id, _ in by_world}
    waiting = standing().filter(target__in=targets, rule__in=BY_NAME, cause__by=[WATCH]).order_by("pk")
    columns = waiting.values_list("pk", "rule", "target_id", "run__gate", "last_at")  # of thousands, every second
    resolved = 0
    for pk, rule, target_id, gate, last_at in columns[:MOST_ALERTS]:
        for watch in by_world.get((target_id or 0, gate == 4), ()):
            what = watch.standings.get(rule)
            if what is not None and what.clean_at is not None and _is_clean_since(what, last_at):
                resolved += resolve(pk, rechecked_at=what.clean_at, words=storable(what.clean_words), now=now)
        if resolved >= MOST_RESOLVED:
            return


def _is_clean_since(what: RuleStanding, last_at: datetime) -> bool:
    fired_since = what.fired_at is not None and what.clean_at is not None and what.fired_at >= what.clean_at
    return what.clean_at is not None and what.clean_at > last_at and not fired_since
