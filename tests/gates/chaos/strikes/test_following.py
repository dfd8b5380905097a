"""What a strike is followed by: asked of a desk that is only what it answers, at the real steps of `follow`."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from audits.findings import Finding, Level
from audits.verdicts import Verdict
from gates.chaos.cells.auditing import Audited
from gates.chaos.cells.states import State
from gates.chaos.cells.target import Answer
from gates.chaos.messages import Channel, Direction, Message, Receipt, Strike
from gates.chaos.strikes import recovery, settling
from gates.chaos.strikes.invariants import Clean
from gates.chaos.strikes.recovery import Course, Result
from gates.chaos.strikes.striking import Hit, Seen, Unwritten
from gates.chaos.trials import Trial
from gates.targets.programs import read_program
from gates.targets.rehearsal import cell_program

RELATIONS = ("accounts", "reconciliations", "orders", "executions", "positions", "position_events", "balance_events")
PARTS = {"open": "tradeOpened", "close": "tradesClosed"}


class Control:
    """Of a proxy that has nothing to do."""

    async def disarm(self):
        pass

    async def reset(self):
        pass

    async def close_upstream(self):
        pass


class Desk:
    """A cell with a desk of few words: always well, at rest at once, and its books are the broker's.

    A `deaf` one has lost in the strike what only a start opens again; `dealing_at_start` it opens at each start. It
    holds `most` positions at a time, and `held` at the strike. Its audits find these rules broken, one after the other,
    and then none; its books may take `catch_up_s` to be right. Each of `orders` is a fill of an open, by its order.
    """

    orders = ("order",)

    def __init__(self, *, deaf=False, dealing_at_start=False, held=0, most=9, broken=(), catch_up_s=60.0):
        self.deaf, self.dealing_at_start, self.most = deaf, dealing_at_start, most
        self.log, self.held, self.broker = [], [], []
        for _ in range(held):
            self.deal("open")
        self.target = SimpleNamespace(unwell=self.unwell, end=self.end, alive=True)
        self.broken, self.audited_at = list(broken), []
        self.premises = SimpleNamespace(protection_limit_s=1.0, program=SimpleNamespace(catch_up_s=catch_up_s))
        self.wires = {Channel.LEDGER: SimpleNamespace(control=Control())}

    async def unwell(self):
        return ""

    async def end(self):
        self.log.append("ended")

    async def start(self):
        self.log.append("started")
        self.deaf = False
        if self.dealing_at_start:
            self.deal("open")

    async def ask(self, operation):
        if self.deaf:
            return Answer(None, {"error": "no answer came"}, 40_000)
        if len(self.held) == (self.most if operation == "open" else 0):
            return Answer(409, {"error": "a position is open already" if self.held else "nothing is open"}, 1)
        self.deal(operation)
        self.log.append(operation)
        return Answer(200, {}, 1)

    def deal(self, operation):
        fill = {"type": "ORDER_FILL", "instrument": "EUR_USD"}
        for order in self.orders if operation == "open" else ("close",):
            fill |= {"id": (number := str(len(self.broker) + 1)), "orderID": order}
            if operation == "open":
                self.held.append(number)
                self.broker.append(fill | {"units": "1", "tradeOpened": {"tradeID": number, "units": "1"}})
            else:
                closed = {"tradeID": self.held.pop(0), "units": "-1"}
                self.broker.append(fill | {"units": "-1", "tradesClosed": [closed]})

    async def state(self):
        return State({name: {} for name in RELATIONS}, tuple(self.broker))

    async def messages(self):
        return ()

    async def audited(self):
        self.audited_at.append(time.monotonic())
        if not self.broken:
            return Audited(Verdict.PASSED, (), (), ())
        return Audited(Verdict.FAILED, (Finding(self.broken.pop(0), Level.CRITICAL, "It is so."),), (), ())


@pytest.fixture
def follow(monkeypatch):
    """Follow a strike that has been made at this desk and left nothing done, or None, where nothing was struck."""

    async def at_rest(_cell, _since):
        return ""

    async def followed(desk, strike):
        start = await desk.state()
        message = Message(Channel.LEDGER, Direction.REQUEST, "COMMIT", 1, "ledger: COMMIT", time.monotonic(), 1)
        receipt = Receipt(strike, message, time.monotonic(), {}) if strike else None
        hit = Hit(Seen(receipt, time.monotonic()), Answer(503, {}, 1))
        trial = Trial("open", message.point, strike) if strike else None
        course = Course(trial, hit, Clean(start, start), start, Unwritten())
        result = Result()
        await recovery.follow(desk, course, result)
        return result

    monkeypatch.setattr(settling, "unsettled", at_rest)
    monkeypatch.setattr(settling, "REST_S", 0.0)
    monkeypatch.setattr(recovery, "JUDGED_AGAIN_S", 0.01)
    return lambda desk, strike=Strike.LOSE_ANSWER: asyncio.run(followed(desk, strike))


def test_a_desk_that_answers_nothing_since_the_strike_is_not_restarted_before_it_is_asked(follow):
    desk = Desk(deaf=True)
    result = follow(desk)
    assert result.verdict == "failed"
    assert [found.rule for found in result.findings] == ["proof of life"]
    assert desk.log == []


@pytest.mark.parametrize("strike", [Strike.LOSE_ANSWER, Strike.KILL_BEFORE, None])
def test_the_process_that_has_recovered_trades_and_is_restarted_then(follow, strike):
    desk = Desk()
    assert follow(desk, strike).verdict == "passed"
    assert desk.log[-4:] == ["open", "close", "ended", "started"]


def test_a_desk_of_one_position_at_a_time_that_holds_it_closes_before_it_opens(follow):
    desk = Desk(held=1, most=1)
    assert follow(desk).verdict == "passed"
    assert desk.log[:2] == ["close", "open"]


def test_a_desk_that_says_that_it_has_closed_what_it_holds_and_has_not_shows_no_life(follow):
    desk = Desk(held=1)
    deal, desk.deal = desk.deal, lambda operation: None if operation == "close" else deal(operation)
    result = follow(desk)
    assert [(found.rule, found.measured) for found in result.findings] == [("proof of life", "0 were")]


@pytest.mark.parametrize(("orders", "found"), [(("one", "one"), []), (("one", "another"), ["2 were"])])
def test_one_order_may_be_filled_in_slices_and_two_are_one_too_many(follow, orders, found):
    desk = Desk()
    desk.orders = orders
    assert [each.measured for each in follow(desk).findings] == found


def test_what_a_restart_changes_after_the_proof_of_life_is_found(follow):
    result = follow(Desk(dealing_at_start=True))
    assert result.verdict == "failed"
    assert [(found.rule, found.measured) for found in result.findings] == [("second restart", "changes in broker")]


def test_a_desk_that_books_what_it_missed_a_little_after_it_is_well_has_recovered_then(follow):
    desk, struck_at = Desk(broken=["transaction not booked"] * 2), time.monotonic()
    result = follow(desk)
    assert (result.verdict, result.findings) == ("passed", [])
    assert struck_at + result.recovery_ms / 1000 > desk.audited_at[1]  # when it was right, not when it was well


@pytest.mark.parametrize(
    ("broken", "catch_up_s"),
    [
        (["transaction not booked", "dealt more than asked for"], 60.0),  # what is dealt is dealt
        (["transaction not booked"], 0.0),  # it says that it is well only once its books are right
    ],
)
def test_what_cannot_come_right_or_had_to_be_by_now_fails_with_what_was_found_last(follow, broken, catch_up_s):
    desk = Desk(broken=[*broken, "seen too late"], catch_up_s=catch_up_s)
    result = follow(desk)
    assert (result.verdict, [found.rule for found in result.findings]) == ("failed", broken[-1:])
    assert desk.broken == ["seen too late"]


def test_a_target_says_how_long_its_books_may_take_and_the_bundled_desk_none_at_all():
    said = cell_program()
    assert read_program(said).catch_up_s == 0
    said["process"].pop("catch_up_s")
    assert read_program(said).catch_up_s == settling.RECOVERY_LIMIT_S
