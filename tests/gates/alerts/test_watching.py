"""What the watch keeps between two looks: trends, a log that grows, trades, and what a storm is folded into."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.alerts.rules import RULES
from gates.alerts.rules.findings import FOUND_AS
from gates.alerts.rules.observed import BooksSeen, StopSeen
from gates.alerts.thresholds import DEFAULTS
from gates.alerts.watching.log_file import LogFile
from gates.alerts.watching.process import Sample, busiest_pct
from gates.alerts.watching.run_watch import RunWatch, WatchedTarget
from gates.alerts.watching.trades import OpenTrades
from gates.alerts.watching.trends import SpeedTrend, WarningTrend
from gates.streams.following import Follower
from gates.streams.lines import Quote
from gates.streams.stopwatch import Stopwatch
from gates.streams.telling import Watched
from gates.streams.writing import Cut, Happened, Pen, folded
from gates.targets.access import Access

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOWHERE = Access("", "wartest", "http://127.0.0.1:1", "A", "t", "")
MISSED = "missed SL/TP trigger"


def watched_stops(*prices):
    """A watch of one target whose streams are connected, and whose one long trade has a stop at each price."""
    follower = Follower(Watched(1, NOWHERE.broker_url, "A", "t", limit_s=2.0), Pen())
    follower.stopwatch = Stopwatch(limit_s=2.0)
    orders = [
        {"id": str(number), "type": "STOP_LOSS", "tradeID": "5", "price": price, "createTime": AT.isoformat()}
        for number, price in enumerate(prices, start=6)
    ]
    trade = {"id": "5", "instrument": "EUR_USD", "currentUnits": "1000"}
    follower.stopwatch.begin({"trades": [trade], "orders": orders})
    for standing in follower.standings.values():
        standing.state = "connected"
    target = WatchedTarget(1, 1, live=False, access=NOWHERE, limits=DEFAULTS | {"stop_missed_s": 2.0}, since=AT)
    return follower, RunWatch(target, follower, lambda rule, breach: None)


def priced(bid):
    return Quote(AT, "EUR_USD", Decimal(bid), Decimal(bid) + Decimal("0.0002"))


def executed(order_id="9"):
    return StopSeen(order_id, f"The stop loss {order_id} of trade 8 was touched", AT, 20.0)


def judged(watch, rule):
    """What the watch says of a rule by a look of now."""
    asyncio.run(watch._judge_all(None)())
    return watch.standings[rule]


@given(st.lists(st.integers(0, 9), min_size=2, max_size=40))
def test_no_warning_is_lost_between_windows_and_none_counted_twice(counts):
    trend = WarningTrend(10)
    for second, count in enumerate(counts):
        trend.add(count, "x", second)
    seen = trend.seen()
    over = (len(counts) - 1) // 10
    assert (seen is None) == (over == 0)
    if seen is not None:
        assert seen.before <= sum(counts) - seen.now


def test_windows_that_a_rule_fires_by_do_not_become_the_past():
    warnings, speed = WarningTrend(1), SpeedTrend("health", 1)
    for second in range(10):
        warnings.add(0, "", second)
        speed.add(3, second)
    warnings.firing = speed.firing = True
    for second in range(10, 40):
        warnings.add(50, "bad", second)
        speed.add(900, second)
    seen = warnings.seen()
    assert seen is not None
    assert (seen.now, seen.before) == (50, 0)
    assert set(speed.seen().before) == {3}
    assert speed.seen().lately == (900, 900)


def test_a_log_is_read_from_its_end_on_and_anew_where_it_was_begun_anew(tmp_path):
    path = tmp_path / "desk.log"
    path.write_text("WARNING of before\n")
    file = LogFile(path)
    assert file.read() == (0, "")
    with path.open("a") as log:
        log.write("INFO all is well\n2026 WARNING <b>one</b>\nERROR two\nhalf a WARN")
    assert file.read() == (2, "ERROR two")
    with path.open("ab") as log:
        log.write(b"ING \xff\n")
    assert file.read()[0] == 1
    path.write_text("warn\n")
    assert file.read() == (1, "warn")
    path.unlink()
    with pytest.raises(OSError, match="No such file"):
        file.read()


@given(st.lists(st.floats(0, 10), min_size=1, max_size=8), st.integers(1, 64))
def test_one_thread_that_never_rests_is_seen_however_many_cores_are_idle(used_s, cores):
    before, now = Sample(0.0, {}), Sample(10.0, dict(enumerate(used_s)))
    share = busiest_pct(before, now, cores)
    assert share >= 10 * max(used_s) - 1e-9
    assert share >= 10 * sum(used_s) / cores - 1e-9
    assert share <= 10 * max(*used_s, sum(used_s) / cores) + 1e-9


def test_open_trades_follow_an_account_and_its_fills():
    trades = OpenTrades()
    trades.begin({"trades": [{"id": "1", "instrument": "EUR_USD"}]})
    trades.learn({"type": "ORDER_FILL", "instrument": "GBP_USD", "tradeOpened": {"tradeID": "7", "units": "10"}})
    trades.learn({"type": "ORDER_FILL", "tradeReduced": {"tradeID": "7", "units": "5"}})
    trades.learn({"type": "ORDER_CANCEL", "tradesClosed": [{"tradeID": "7"}]})
    assert trades.now == {"1": "EUR_USD", "7": "GBP_USD"}
    trades.learn({"type": "ORDER_FILL", "tradesClosed": [{"tradeID": "1"}, {"tradeID": "7"}]})
    assert trades.now == {}


HAPPENINGS = st.builds(
    Happened,
    st.integers(1, 3),
    st.sampled_from("abc"),
    st.sampled_from(["critical", "high", "medium"]),
    st.just("x"),
    st.just(AT),
)


@given(
    st.lists(
        HAPPENINGS
        | st.builds(Cut, st.just(1), st.just("prices"), st.just(AT), st.just(AT), st.just("gap"), st.just(False))
    )
)
def test_a_storm_is_folded_critical_first_and_nothing_is_lost(taken):
    groups = folded(taken)
    assert sum(times for _, times in groups) == len(taken)
    assert sum(isinstance(event, Cut) for event, _ in groups) == sum(isinstance(event, Cut) for event in taken)
    ranks = [{"critical": 0, "high": 1}.get(getattr(event, "level", ""), 2) for event, _ in groups]
    assert all(one <= next_one for one, next_one in pairwise(ranks))
    happened = [(event.run_id, event.rule, event.level) for event, _ in groups if isinstance(event, Happened)]
    assert len(happened) == len(set(happened))


def test_every_finding_that_is_mapped_belongs_to_one_of_the_thirteen():
    assert set(FOUND_AS.values()) <= {rule.name for rule in RULES}


def test_while_a_missed_stop_waits_the_rule_fires_and_no_other_stop_is_a_clean_look():
    follower, watch = watched_stops("1.0950")
    follower.stopwatch.quote(priced("1.0945"), 100.0)
    assert follower.stopwatch.miss("6")
    assert judged(watch, MISSED).judgement.state == "firing"
    follower.executed.append(executed())
    standing = judged(watch, MISSED)
    assert standing.judgement.state == "firing"
    assert standing.clean_at is None
    follower.stopwatch.learn({"type": "ORDER_CANCEL", "id": "8", "orderID": "6", "time": AT.isoformat()})
    follower.executed.append(executed("10"))
    assert judged(watch, MISSED).judgement.clean, "it was taken back, and another was executed in time"


def test_a_stop_is_no_clean_look_while_the_prices_that_touch_others_are_not_seen():
    follower, watch = watched_stops("1.0950")
    follower.standings["prices"].state = "waiting"
    follower.executed.append(executed())
    assert "away" in judged(watch, MISSED).judgement.not_judged
    follower.standings["prices"].state = "connected"
    assert not judged(watch, MISSED).judgement.clean, "nor afterwards, for what was executed before"
    follower.executed.append(executed("10"))
    assert judged(watch, MISSED).judgement.clean
    follower.stopwatch.quote(priced("1.0945"), 100.0)
    assert follower.stopwatch.miss("6")
    follower.standings["prices"].state = "waiting"
    assert judged(watch, MISSED).judgement.state == "firing", "what is missed is known all the same"


class Ledger:
    """Stands for a ledger whose books can be read, or not."""

    def __init__(self):
        self.told = BooksSeen({}, (), (), ())

    async def books(self):
        return self.told


def test_what_could_not_be_compared_is_neither_clean_nor_an_orphan_and_is_told_once():
    rule, ledger, told = "orphaned position", Ledger(), []
    follower, watch = watched_stops("1.0950")
    watch.tell = lambda rule, breach: told.append(breach.key)

    def looked(*, at_the_broker):
        follower.trades._open = dict.fromkeys(at_the_broker, "EUR_USD")
        asyncio.run(watch._look_at_books(ledger))
        return judged(watch, rule).judgement

    assert looked(at_the_broker=()).clean
    ledger.told = "the books could not be read in time"
    assert looked(at_the_broker=("77",)).not_judged == ledger.told
    ledger.told = BooksSeen({}, (), (), ())
    watch.watched = replace(watch.watched, limits=watch.watched.limits | {"orphan_after_s": 0.0})
    assert looked(at_the_broker=("77",)).state == "firing"
    ledger.told = "the books could not be read in time"
    assert looked(at_the_broker=("77",)).not_judged
    ledger.told = BooksSeen({}, (), (), ())
    assert looked(at_the_broker=("77",)).state == "firing"
    assert told == ["trade 77"]
    assert looked(at_the_broker=()).clean
    assert looked(at_the_broker=("77",)).state == "firing"
    assert told == ["trade 77", "trade 77"], "after a clean look it is new"


def test_speeds_of_a_target_that_tells_none_any_more_are_not_those_of_now(monkeypatch):
    monkeypatch.setattr("gates.checks.health.observe", lambda access: answers.pop())
    answers = [{"error": "It does not answer."}, {"status_code": 200, "status": "ok", "answer_ms": 3.0}]
    _, watch = watched_stops()
    for trend in watch._speeds:
        trend.window_s = 1e-9
    asyncio.run(watch._look_at_health())
    assert [speed.what for speed in watch._seen.speeds] == ["answer at its health address"]
    asyncio.run(watch._look_at_health())
    assert judged(watch, "performance degradation").judgement.not_judged == "the target has told no times lately"
