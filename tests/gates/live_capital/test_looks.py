"""Looks of gate 4 follow each other by the broker's transactions: whatever the portal's clock says, none is missed."""

from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace

import pytest

from gates import engine
from gates.checks.hands import ORDER
from gates.live_capital import checks
from gates.live_capital.limits import RATE, SIZE
from tests.gates.cast import START

from .records import order
from .staged import a_month

pytestmark = pytest.mark.django_db
BEHIND = timedelta(seconds=60)  # the broker's clock is as much behind the portal's


class Broker:
    """An account whose transactions appear one after another, dated by a clock of its own."""

    def __init__(self):
        self.records = [order(number, at=START - BEHIND - timedelta(hours=1)) for number in (1, 2, 3)]
        self.told = None

    def place(self, *units, at):
        for each in units:
            self.records.append(order(len(self.records) + 1, each, at=at - BEHIND))

    def summary(self):
        return self.told or {"NAV": "500", "balance": "500", "lastTransactionID": self.records[-1]["id"]}

    def transactions(self, since_id=0):
        return [record for record in self.records if int(record["id"]) > since_id]


@pytest.fixture
def broker(monkeypatch):
    @contextmanager
    def held(*_):
        yield there

    there = Broker()
    monkeypatch.setattr(checks, "reader_of", held)
    monkeypatch.setattr(checks, "snapshot_of", held)
    monkeypatch.setattr(checks, "rows_of", lambda *_, **__: [])  # the books know of none
    monkeypatch.setattr(checks, "BOOKED_WITHIN_S", 0)
    return there


@pytest.fixture
def month():
    return a_month()


def looked(run, check, number):
    """Do the look with this number, when it is due by the portal's clock. Returns the rules that it found broken."""
    slot = run.slots.filter(check_name=check).order_by("due_at")[number]
    mine = engine.claim(slot.pk, worker="test", now=slot.due_at)
    outcome = checks.LIVE_CHECKS[check](mine, SimpleNamespace())
    engine.record(mine, outcome, started_at=slot.due_at, now=slot.due_at)
    return [found.rule for found in outcome.findings]


def test_an_order_beyond_the_plan_is_found_once_by_the_next_look_whatever_the_broker_dates_it(month, broker):
    assert looked(month, "limits", 0) == []
    broker.place("9999", at=START + timedelta(seconds=8))  # by the broker's clock before the window that looks at it
    assert looked(month, "limits", 1) == [SIZE]
    assert looked(month, "limits", 2) == []


def test_orders_of_one_minute_are_counted_together_over_the_looks_that_saw_them(month, broker):
    for number, broken in enumerate(([], [RATE] * 2)):  # the rehearsal's plan allows 120 a minute
        broker.place(*["1"] * 61, at=START + timedelta(seconds=8 + number))
        assert looked(month, "limits", number) == broken


def test_an_order_by_hand_is_found_once_by_the_next_look_whatever_the_broker_dates_it(month, broker):
    assert looked(month, "hands", 0) == []
    broker.place("1", at=START + timedelta(seconds=8))
    assert looked(month, "hands", 1) == [ORDER]
    assert looked(month, "hands", 2) == []


def test_what_came_after_the_account_was_read_is_for_the_next_look(month, broker):
    broker.told = broker.summary()
    broker.place("9999", at=START)
    assert looked(month, "limits", 0) == []
    broker.told = None
    assert looked(month, "limits", 1) == [SIZE]
