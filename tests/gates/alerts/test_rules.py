"""The thirteen rules on what one look shows: breach, clean, or nothing proven."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gates.alerts import rules
from gates.alerts.rules import BY_NAME, RULES
from gates.alerts.rules.observed import (
    Apart,
    BalanceRow,
    BooksSeen,
    HealthSeen,
    Observed,
    PositionSeen,
    ProcessSeen,
    ReconciliationSeen,
    ServerSeen,
    SessionSeen,
    SpeedSeen,
    StopSeen,
    WarningsSeen,
)
from gates.alerts.rules.performance import limit_of
from gates.alerts.rules.rule import Judgement
from gates.alerts.rules.warnings_rising import chance_of
from gates.alerts.thresholds import DEFAULTS, TABLE, BadThresholdError, thresholds_of

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CENTS = st.decimals(-10_000, 10_000, places=4)
PARTS = {"rule.py", "observed.py"}  # what rules are made of
WELL = HealthSeen(True, True, "", 0.0, pid=7)


def ago(seconds):
    return AT - timedelta(seconds=seconds)


def judge(name, seen, **limits):
    return BY_NAME[name].judge(seen, DEFAULTS | limits)


def books(**parts):
    return Observed(
        AT, books=BooksSeen(**({"balances": {}, "balance_rows": (), "positions": (), "reconciliations": ()} | parts))
    )


def chain(start, amounts):
    rows = []
    for number, amount in enumerate(amounts, start=1):
        rows.append(BalanceRow(str(number), "A", number, start, amount, start + amount, AT))
        start += amount
    return tuple(rows)


def test_there_are_thirteen_in_the_order_of_their_levels_and_each_says_what_to_do():
    levels = [rule.level for rule in RULES]
    assert levels == ["critical"] * 5 + ["high"] * 4 + ["medium"] * 4
    assert len(BY_NAME) == 13
    for rule in RULES:
        assert all(
            (rule.watches, rule.rechecked_by, rule.runbook.means, rule.runbook.look_at, rule.runbook.leave_alone)
        )
        assert set(rule.thresholds) <= DEFAULTS.keys()
    assert {name for rule in RULES for name in rule.thresholds} == DEFAULTS.keys()
    for file in Path(rules.__file__).parent.glob("*.py"):
        assert file.name in PARTS or len(file.read_text().splitlines()) <= 80


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_look_that_saw_nothing_is_neither_a_breach_nor_clean(rule):
    for seen in (Observed(AT), Observed(AT, unseen={"server": "no SQL", "books": "away"})):
        judgement = rule.judge(seen, DEFAULTS)
        assert (judgement.state, bool(judgement.not_judged)) == ("not judged", True)


@given(start=CENTS, amounts=st.lists(CENTS, min_size=1, max_size=8), at=st.integers(0), by=CENTS)
def test_books_that_add_up_are_clean_and_one_changed_figure_is_not(start, amounts, at, by):
    assume(by != 0)
    rows = chain(start, amounts)
    well = books(balances={"A": rows[-1].after}, balance_rows=rows)
    assert judge("balance equation violation", well).state == "clean"
    number = at % len(rows)
    for figure in ("before", "amount", "after"):
        broken = list(rows)
        broken[number] = replace(rows[number], **{figure: getattr(rows[number], figure) + by})
        assert judge(
            "balance equation violation", books(balances={"A": rows[-1].after}, balance_rows=tuple(broken))
        ).breaches
    assert judge("balance equation violation", books(balances={"A": rows[-1].after + by}, balance_rows=rows)).breaches
    if 0 < number < len(rows) - 1:
        assert judge(
            "balance equation violation", books(balances={}, balance_rows=rows[:number] + rows[number + 1 :])
        ).breaches


@given(waited_s=st.floats(0, 100), latency_ms=st.floats(0, 10_000))
def test_a_stop_is_missed_once_its_time_is_over_and_late_beyond_a_tenth_of_a_second(waited_s, latency_ms):
    waiting = StopSeen("7", "The stop loss 7 was touched", ago(waited_s), None)
    done = StopSeen("6", "The stop loss 6 was touched", ago(1), latency_ms)
    missed = judge("missed SL/TP trigger", Observed(AT, stops=(waiting, done)))
    over = waiting.at + timedelta(seconds=5) <= AT
    assert bool(missed.breaches) == over
    if over:
        (breach,) = missed.breaches
        assert (breach.key, breach.event_at) == ("7", waiting.at + timedelta(seconds=5))
    elif latency_ms <= 5000:
        assert missed.clean
    late = judge("SL/TP latency > 100 ms", Observed(AT, stops=(waiting, done)))
    assert late.state == ("firing" if latency_ms > 100 else "clean")


@given(apart_s=st.floats(0, 60))
def test_what_is_apart_is_an_orphan_only_after_its_time_and_never_clean_before(apart_s):
    one = Apart("trade 9", "Trade 9 has no position", ago(apart_s))
    judgement = judge("orphaned position", Observed(AT, apart=(one,)))
    assert judgement.state == ("firing" if one.since + timedelta(seconds=5) <= AT else "not judged")
    assert judge("orphaned position", Observed(AT, apart=())).state == "clean"


@given(st.lists(st.tuples(st.integers(0, 3), st.decimals(0, 3000, places=3)), min_size=1, max_size=6))
def test_reconciliations_are_judged_each_and_the_last_one_alone_proves_nothing_about_those_before(rows):
    seen = books(
        reconciliations=tuple(
            ReconciliationSeen(str(number), AT, duration, mismatches)
            for number, (mismatches, duration) in enumerate(rows)
        )
    )
    found = judge("reconciliation mismatch", seen)
    assert len(found.breaches) == sum(mismatches > 0 for mismatches, _ in rows)
    slow = judge("reconciliation latency > 1 s", seen)
    assert len(slow.breaches) == sum(duration > 1000 for _, duration in rows)
    assert all((judgement.clean == "") == bool(judgement.breaches) for judgement in (found, slow))


POSITION = PositionSeen("P", "9", "open", Decimal(10), Decimal(0), "open", Decimal(10), Decimal(0), AT)


@pytest.mark.parametrize(
    "change", [{"units_open": Decimal(9)}, {"realized_pnl": Decimal("0.0001")}, {"status": "closed"}]
)
def test_a_position_that_is_not_what_its_events_say_fails_the_replay(change):
    assert judge("event replay failure", books(positions=(POSITION,))).clean
    (breach,) = judge("event replay failure", books(positions=(POSITION, replace(POSITION, **change)))).breaches
    assert "its events say" in breach.sentence


LIVES = ProcessSeen(7, True, 10.0, 10.0)
CRASHES = {
    "dead": (Observed(AT, ProcessSeen(7, False), HealthSeen(False, False, "refused", 0.1)), "firing"),
    "dead, and an answer of before": (Observed(AT, ProcessSeen(7, False), WELL), "firing"),
    "another one answers": (Observed(AT, ProcessSeen(7, False), replace(WELL, pid=8)), "clean"),
    "silent": (Observed(AT, LIVES, HealthSeen(False, False, "timeout", 10.5)), "firing"),
    "silent for a moment": (Observed(AT, LIVES, HealthSeen(False, False, "timeout", 3)), "not judged"),
    "unwell": (Observed(AT, LIVES, HealthSeen(True, False, "no database", 0)), "not judged"),
    "well": (Observed(AT, LIVES, WELL), "clean"),
    "well, elsewhere": (Observed(AT, None, WELL), "clean"),
}


@pytest.mark.parametrize(("seen", "state"), CRASHES.values(), ids=CRASHES)
def test_a_crash_is_a_dead_process_or_a_long_silence(seen, state):
    assert judge("system crash", seen).state == state


@given(cpu=st.floats(0, 100), memory=st.floats(0, 100), disk=st.floats(0, 100))
def test_each_resource_is_judged_by_its_own_limit(cpu, memory, disk):
    seen = Observed(AT, ProcessSeen(7, True, cpu, memory, {"/data": disk}))
    assert len(judge("resource use > 80 %", seen).breaches) == sum(share > 80 for share in (cpu, memory, disk))
    assert judge("resource use > 80 %", Observed(AT, ProcessSeen(7, True, None, memory))).state == "not judged"


def test_the_server_is_judged_by_what_it_lets_us_see():
    slow = SessionSeen(41, "SELECT pg_sleep(9)", 1500, 1500, (42,))
    name = "slow queries"
    (breach,) = judge(name, Observed(AT, server=ServerSeen(sessions=(slow,)))).breaches
    assert "waiting for a lock of 42" in breach.sentence
    assert breach.event_at == ago(0.5)
    assert judge(name, Observed(AT, server=ServerSeen(sessions=(replace(slow, running_ms=900),)))).clean
    assert judge(name, Observed(AT, server=ServerSeen(hidden=1))).state == "not judged"
    assert judge(name, Observed(AT, server=ServerSeen("refused"))).state == "not judged"
    name = "database connection issues"
    assert judge(name, Observed(AT, server=ServerSeen("refused"))).breaches
    assert judge(name, Observed(AT, server=ServerSeen(killed=2))).breaches
    assert judge(name, Observed(AT, health=WELL, server=ServerSeen())).clean
    assert judge(name, Observed(AT, health=replace(WELL, well=False), server=ServerSeen())).state == "not judged"


@given(now=st.integers(0, 60), before=st.integers(0, 600), more=st.integers(1, 20))
def test_more_warnings_are_never_less_of_a_rise(now, before, more):
    seen = WarningsSeen(now, 60, before, 600)
    assert 0 <= chance_of(replace(seen, now=now + more)) <= chance_of(seen) <= 1 + 1e-9


def test_a_rise_of_warnings_needs_a_before_a_least_count_and_a_rate_that_is_no_chance():
    def told(**fields):
        return judge("warning count rising", Observed(AT, warnings=WarningsSeen(**fields))).state

    assert told(now=20, now_s=60, before=10, before_s=600) == "firing"
    assert told(now=20, now_s=60, before=180, before_s=600) == "clean", "it always warns so often"
    assert told(now=4, now_s=60, before=0, before_s=6000) == "clean"
    assert told(now=20, now_s=60, before=0, before_s=200) == "not judged"
    assert told(now=50_000, now_s=60, before=10_000, before_s=600) == "firing"
    assert chance_of(WarningsSeen(3, 1, 1, 1)) == pytest.approx(5 / 16)


@given(st.lists(st.floats(1, 100), min_size=10, max_size=60), st.floats(1, 5000))
def test_slower_than_before_is_beyond_every_one_of_the_limits_of_its_own_past(before, lately):
    speed = SpeedSeen("health", (lately, lately), tuple(before))
    limit_ms = limit_of(speed, DEFAULTS)
    middle = sorted(before)[len(before) // 2]
    assert limit_ms >= 20
    assert judge("performance degradation", Observed(AT, speeds=(speed,))).state == (
        "firing" if lately > limit_ms else "clean"
    )
    if len(set(before)) == 1:
        assert limit_ms == max(2 * middle, middle + 20)


@pytest.mark.parametrize(
    ("before", "limit_ms"),
    [
        ((3.0,) * 11, 23.0),  # the least difference
        ((100.0,) * 11, 200.0),  # the factor
        ((80.0,) * 4 + (100.0,) * 3 + (120.0,) * 4, 277.912),  # 6 times 1.4826 times a median deviation of 20
    ],
)
def test_each_of_the_three_limits_of_slowness_decides_where_it_is_the_largest(before, limit_ms):
    assert limit_of(SpeedSeen("health", (), before), DEFAULTS) == pytest.approx(limit_ms)


def test_a_short_past_or_a_single_slow_window_is_no_degradation():
    usual = (3.0,) * 10
    for lately, before, state in (((900, 900), usual[:9], "not judged"), ((3, 900), usual, "clean")):
        seen = Observed(AT, speeds=(SpeedSeen("health", lately, before),))
        assert judge("performance degradation", seen).state == state


def test_a_target_sets_its_own_limits_and_a_wrong_one_is_refused_in_words():
    assert thresholds_of({}) == DEFAULTS
    assert thresholds_of({"alerts": {"cpu_pct": 50}})["cpu_pct"] == 50
    bad = (
        {"cpu": 1},
        {"cpu_pct": 0},
        {"cpu_pct": 101},
        {"cpu_pct": "80"},
        {"cpu_pct": True},
        {"cpu_pct": float("nan")},
    )
    for own in (*bad, "none"):
        with pytest.raises(BadThresholdError, match=r"\[alerts\]"):
            thresholds_of({"alerts": own})
    assert all(0 < threshold.default <= threshold.most for threshold in TABLE)


def test_a_judgement_is_firing_whatever_else_it_says():
    assert Judgement(clean="well").state == "clean"
    assert Judgement(not_judged="why").state == "not judged"
