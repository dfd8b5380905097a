"""Thirty days in a row: each needs all of its evidence, and one that lacks it breaks the row."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.verdicts import Verdict, merge
from gates.criteria import Gap, Judged
from gates.live_capital.criteria import Live, live_criteria
from gates.live_capital.days import DaySlots, calendar, first_broken, in_a_row
from gates.live_capital.plans import AUDIT, LIVE_CHECKS, LIVE_PLANS, live_plan_for, live_windows

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY_S = 86_400
verdicts = st.sampled_from([*Verdict, None])


def days(statuses, happened=(), *, now=START + timedelta(days=99)):
    slots = [DaySlots(day, "health", verdict) for day, verdict in enumerate(statuses, start=1)]
    return calendar(START, (len(statuses), DAY_S), slots, happened, now)


@pytest.mark.parametrize("plan", LIVE_PLANS, ids=lambda plan: plan.profile)
def test_every_check_covers_the_month_without_gap_or_overlap(plan):
    windows = list(live_windows(plan, START))
    assert {window.check_name for window in windows} == set(LIVE_CHECKS)
    for name in LIVE_CHECKS:
        mine = sorted((window for window in windows if window.check_name == name), key=lambda window: window.start)
        assert mine[0].start == START
        assert mine[-1].end == START + timedelta(seconds=plan.duration_s)
        assert all(before.end == after.start for before, after in pairwise(mine))


def test_production_is_thirty_days_with_health_every_day_and_an_audit_every_week_and_at_the_end():
    plan = live_plan_for("production")
    windows = list(live_windows(plan, START))
    assert plan.duration_s == 30 * DAY_S
    assert sum(window.check_name == "health" for window in windows) == 30
    audits = [(window.end - START).days for window in windows if window.check_name == AUDIT]
    assert audits == [7, 14, 21, 28, 30]


@pytest.mark.parametrize("away_from_s", range(0, 300, 20))
def test_a_portal_that_is_away_for_six_minutes_of_a_real_month_leaves_a_hole_over_midnight_too(away_from_s):
    left = START + timedelta(days=3, seconds=away_from_s - 200)
    back = left + timedelta(minutes=6, seconds=1)
    windows = [each for each in live_windows(live_plan_for("production"), START) if each.check_name == "limits"]
    assert any(left <= window.due_at and window.grace_until <= back for window in windows)


def test_what_an_account_held_when_a_real_day_began_is_not_seen_long_after():
    windows = live_windows(live_plan_for("production"), START)
    late = {each.grace_until - each.end for each in windows if each.check_name == "limits"}
    assert late == {timedelta(seconds=65)}


def test_the_rehearsal_of_thirty_days_takes_ten_minutes():
    assert live_plan_for("rehearsal").duration_s == 600
    assert live_plan_for("rehearsal").days == 30


@given(st.lists(st.lists(st.tuples(st.sampled_from(LIVE_CHECKS), verdicts), max_size=6), min_size=1, max_size=30))
def test_a_day_passes_only_with_all_of_its_slots_passed(month):
    slots = [DaySlots(day, name, verdict) for day, rows in enumerate(month, start=1) for name, verdict in rows]
    seen = calendar(START, (len(month), DAY_S), slots, (), START + timedelta(days=99))
    for day, rows in zip(seen, month, strict=True):
        ended = [verdict for _, verdict in rows]
        assert (day.status == "passed") == (bool(ended) and all(verdict == Verdict.PASSED for verdict in ended))
        assert (day.status == "failed") == (Verdict.FAILED in ended)
        assert day.planned == len(rows)
    row = in_a_row(seen)
    assert all(day.status == "passed" for day in seen[:row])
    assert row == len(seen) or seen[row].status != "passed"


def test_a_critical_error_fails_the_day_on_which_it_happened_whatever_its_slots_say():
    seen = days([Verdict.PASSED] * 3, [(START + timedelta(days=1, hours=5), "The target's process 7 died.")])
    assert [day.status for day in seen] == ["passed", "failed", "passed"]
    assert (in_a_row(seen), seen[1].words) == (1, "The target's process 7 died.")


def test_what_happens_while_the_last_slots_are_judged_belongs_to_the_last_day():
    seen = days([Verdict.PASSED] * 2, [(START + timedelta(days=2, seconds=5), "A deposit of 5 was booked.")])
    assert [day.status for day in seen] == ["passed", "failed"]


def test_a_month_is_broken_only_by_a_day_that_is_over():
    slots = [DaySlots(1, "health", Verdict.INCONCLUSIVE, holes=1), DaySlots(1, "limits", None)]
    running = calendar(START, (2, DAY_S), slots, (), START)
    assert first_broken(running) is None
    over = calendar(START, (2, DAY_S), slots[:1], (), START)
    assert first_broken(over).number == 1
    assert over[0].words == "health missed"


def test_days_to_come_are_not_yet_and_the_day_that_has_begun_is_running():
    assert [day.status for day in days([None, None], now=START + timedelta(hours=1))] == ["running", "waiting"]


def live(plan, *, verdict=Verdict.PASSED, hand_count=0, trades=99, touches=99, without=(), gaps=(), **changed):
    windows = [window for window in live_windows(plan, START) if window.check_name not in without]
    slots = [
        Judged(
            window.check_name,
            "done" if changed.get(window.check_name.replace(" ", "_"), verdict) else "due",
            changed.get(window.check_name.replace(" ", "_"), verdict),
            {"touches": touches, "executed": touches} if window.check_name == "stops" else {},
        )
        for window in windows
    ]
    rows = [
        DaySlots(-(-int((window.end - START).total_seconds()) // plan.day_s), slot.check_name, slot.verdict)
        for window, slot in zip(windows, slots, strict=True)
    ]
    month = calendar(START, (plan.days, plan.day_s), rows, (), START + timedelta(days=99))
    return live_criteria(plan, Live(month, slots, hand_count, trades, gaps))


SMOKE = live_plan_for("smoke")


def verdict_of(table):
    return merge(line.verdict for line in table)


def test_a_whole_month_passes():
    assert verdict_of(live(SMOKE)) == Verdict.PASSED


def test_the_table_says_how_fast_a_touched_stop_must_be_executed():
    (stops,) = [line for line in live(live_plan_for("production")) if line.name == "stops executed"]
    assert stops.required == "100 % of at least 30 touched, each within 5 s"


@pytest.mark.parametrize("name", [name.replace(" ", "_") for name in LIVE_CHECKS])
def test_no_check_may_fail_or_be_missed(name):
    assert verdict_of(live(SMOKE, **{name: Verdict.FAILED})) == Verdict.FAILED
    assert verdict_of(live(SMOKE, **{name: Verdict.INCONCLUSIVE})) == Verdict.INCONCLUSIVE
    assert verdict_of(live(SMOKE, **{name: None})) == Verdict.INCONCLUSIVE


@pytest.mark.parametrize("name", ["hands", "limits", "stops", "books", AUDIT])
def test_a_check_without_a_single_slot_is_no_evidence(name):
    assert verdict_of(live(SMOKE, without=(name,))) != Verdict.PASSED


@pytest.mark.parametrize(
    ("least", "words"),
    [({"touches": 0}, "stops were touched"), ({"trades": 0}, "trades closed")],
)
def test_too_little_evidence_is_inconclusive_and_says_what_was_missing(least, words):
    table = live(SMOKE, **least)
    assert verdict_of(table) == Verdict.INCONCLUSIVE
    assert any(words in line.reason for line in table)


def test_a_persons_hand_fails_the_month():
    table = live(SMOKE, hand_count=1)
    assert [line.name for line in table if line.verdict == Verdict.FAILED] == ["nobody's hands"]


def test_a_missed_day_says_that_the_month_starts_again():
    (line,) = [line for line in live(SMOKE, health=Verdict.INCONCLUSIVE) if line.name.startswith("days")]
    assert "starts again at day 1" in line.reason
    assert line.measured == "0 of 3 in a row"


def test_a_month_whose_stream_was_cut_is_inconclusive_and_names_the_gap():
    table = live(SMOKE, gaps=[Gap("prices", START, START + timedelta(seconds=4))])
    (line,) = [line for line in table if line.verdict != Verdict.PASSED]
    assert (line.name, line.verdict) == ("stops executed", Verdict.INCONCLUSIVE)
    assert "prices told nothing for 4.0 s" in line.reason
    missed = live(SMOKE, stops=Verdict.FAILED, gaps=[Gap("prices", START, START)])
    assert verdict_of(missed) == Verdict.FAILED
