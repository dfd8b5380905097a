"""Each rule of the invariants on a hand-made trade of 1000 EUR_USD: the legal ends say nothing, each wrong end does."""

import copy
from dataclasses import replace

import pytest

from gates.chaos.cells.states import State, difference
from gates.chaos.strikes.invariants import Aftermath, Clean, broken, protection_limit_ms

OPENED = {
    "id": "5",
    "type": "ORDER_FILL",
    "orderID": "4",
    "time": "2026-03-01T12:00:00.100000Z",
    "instrument": "EUR_USD",
    "units": "1000",
    "price": "1.1",
    "tradeOpened": {"tradeID": "5", "units": "1000"},
}
ORDER = {"id": "4", "type": "MARKET_ORDER", "time": OPENED["time"], "clientExtensions": {"id": "intent-1"}}
STOP = {"id": "6", "type": "STOP_LOSS_ORDER", "time": OPENED["time"], "tradeID": "5"}
FUNDED = {"id": "3", "type": "TRANSFER_FUNDS", "time": "2026-03-01T11:00:00Z", "accountBalance": "100000"}


def ledger(**relations):
    names = ("orders", "executions", "positions", "position_events", "balance_events")
    empty = {name: {} for name in names}
    account = {"account_id": "a", "currency": "USD", "opening_balance": "0", "balance": "100000"}
    return {"accounts": {"a": account}, "reconciliations": {}, **empty, **relations}


def order(status):
    row = {"order_id": "intent-1", "client_order_id": "intent-1", "instrument": "EUR_USD", "units": "1000"}
    return {"orders": {"intent-1": row | {"order_type": "MARKET", "status": status}}}


POSITION = {
    "positions": {
        "p": {"position_id": "p", "broker_trade_id": "5", "instrument": "EUR_USD", "units": "1000", "status": "open"}
    }
}
START = State(ledger(), (FUNDED,))
DONE = State(ledger(**order("filled"), **POSITION), (FUNDED, ORDER, OPENED, STOP))
CLEAN = Clean(START, DONE)


def rules(after, *, acknowledged=None):
    return {found.rule for found in broken(Aftermath(CLEAN, START, after, acknowledged))}


def second_trade(**changes):
    order_two = ORDER | {"id": "14", "clientExtensions": {"id": changes.get("client", "intent-2")}}
    fill = OPENED | {"id": "15", "orderID": "14", "units": changes.get("units", "1000")}
    fill |= {"tradeOpened": {"tradeID": "15", "units": "1000"}}
    return replace(DONE, broker=(*DONE.broker, order_two, fill, STOP | {"id": "16", "tradeID": "15"}))


def test_both_legal_ends_break_nothing():
    assert rules(DONE) == set()
    assert rules(START) == set()
    assert rules(State(ledger(**order("cancelled")), (FUNDED,))) == set()


def test_another_order_for_the_same_intent_is_found():
    twice = second_trade(client="intent-1")
    assert "intent executed twice" in rules(twice)


def test_a_blind_retry_under_a_new_id_is_more_than_was_asked_for():
    assert {"exposure", "dealt more than asked for", "execution without intent"} <= rules(second_trade())


def test_a_trade_closed_at_once_again_is_more_than_was_asked_for():
    assert "dealt more than asked for" in rules(second_trade(units="-1000"))


def test_a_fill_that_the_ledger_lost_is_found():
    lost = State(ledger(**order("cancelled")), DONE.broker)
    assert rules(lost) == {"given up but executed", "half done"}


def test_half_of_the_operation_is_no_legal_end():
    half = State(ledger(**order("filled")), DONE.broker)
    assert rules(half) == {"half done"}


def test_an_end_that_is_neither_names_what_is_too_much():
    wrong = copy.deepcopy(DONE.ledger)
    wrong["positions"]["p"]["units"] = "999"
    (found,) = broken(Aftermath(CLEAN, START, State(wrong, DONE.broker), None))
    assert found.rule == "neither done nor undone"
    assert "999" in found.measured
    assert "1000" in found.expected


def test_an_order_left_in_doubt_is_found():
    assert "order in doubt" in rules(State(ledger(**order("pending")), (FUNDED,)))


@pytest.mark.parametrize(
    ("status", "known_as", "doubted"),
    [("submitted", "4", False), ("submitted", "5", True), ("submitted", None, True), ("pending", None, True)],
)
def test_an_order_that_waits_at_the_broker_by_the_id_that_the_ledger_knows_is_in_no_doubt(status, known_as, doubted):
    waiting = ORDER | {"type": "LIMIT_ORDER", "instrument": "EUR_USD", "units": "1000", "price": "1.05"}
    row = order(status)["orders"]["intent-1"] | {"broker_order_id": known_as}
    after = State(ledger(orders={"intent-1": row}), (FUNDED, waiting))
    assert ("order in doubt" in rules(after)) is doubted


@pytest.mark.parametrize("stop", [None, STOP | {"time": "2026-03-01T12:00:09Z"}])
def test_a_position_without_its_stop_in_time_is_found(stop):
    records = (FUNDED, ORDER, OPENED, *((stop,) if stop else ()))
    assert "position without stop" in rules(State(DONE.ledger, records))


@pytest.mark.parametrize(
    ("chaos", "found"),
    [({}, True), ({"protection_limit_ms": 8_899}, True), ({"protection_limit_ms": 8_900}, False)],
)
def test_how_long_a_position_may_be_without_its_stop_is_said_by_the_description(chaos, found):
    late = STOP | {"time": "2026-03-01T12:00:09Z"}
    after = State(DONE.ledger, (FUNDED, ORDER, OPENED, late))
    limit_s = protection_limit_ms({"chaos": chaos}) / 1000
    broke = broken(Aftermath(CLEAN, START, after, None, limit_s))
    assert [each.rule for each in broke if each.rule == "position without stop"] == ["position without stop"] * found


def test_a_stop_cancelled_while_the_position_is_open_is_found():
    cancel = {"id": "7", "type": "ORDER_CANCEL", "orderID": "6", "time": OPENED["time"]}
    assert "position without stop" in rules(replace(DONE, broker=(*DONE.broker, cancel)))


CANCEL = {"id": "7", "type": "ORDER_CANCEL", "orderID": "6", "time": "2026-03-01T13:00:00Z"}
CLOSING = {"id": "8", "type": "MARKET_ORDER", "time": CANCEL["time"], "clientExtensions": {"id": "intent-2"}}
CLOSED = {"id": "9", "type": "ORDER_FILL", "orderID": "8", "time": CANCEL["time"], "instrument": "EUR_USD"}
CLOSED |= {"units": "-1000", "price": "1.1", "tradesClosed": [{"tradeID": "5", "units": "-1000"}]}
LIMIT = {"id": "4", "type": "LIMIT_ORDER", "time": OPENED["time"], "instrument": "EUR_USD", "units": "1000"}
LIMIT |= {"price": "1.05", "clientExtensions": {"id": "intent-1"}}
NEXT_STOP = STOP | {"id": "8", "time": CANCEL["time"]}


def closed_books():
    positions = {"p": POSITION["positions"]["p"] | {"status": "closed"}}
    closing = DONE.ledger["orders"]["intent-1"] | {"order_id": "intent-2", "client_order_id": "intent-2"}
    return ledger(orders=DONE.ledger["orders"] | {"intent-2": closing | {"units": "-1000"}}, positions=positions)


CLEAN_CLOSE = Clean(DONE, State(closed_books(), (*DONE.broker, CANCEL, CLOSING, CLOSED)))
"""A close that takes the stop back first, and then deals."""


def rules_of_close(*since, clean=CLEAN_CLOSE):
    return {found.rule for found in broken(Aftermath(clean, DONE, replace(DONE, broker=(*DONE.broker, *since)), None))}


def test_a_trade_from_before_the_strike_that_lost_its_stop_is_found():
    assert {"position without stop", "half done"} == rules_of_close(CANCEL)
    assert rules_of_close() == set()
    assert rules_of_close(CANCEL, NEXT_STOP) == set()
    assert broken(Aftermath(CLEAN_CLOSE, DONE, CLEAN_CLOSE.end, None)) == ()


@pytest.mark.parametrize(("seconds", "found"), [("00.9", set()), ("50", {"position without stop"})])
def test_a_stop_that_was_away_for_too_long_is_found_though_it_is_back(seconds, found):
    later = NEXT_STOP | {"time": f"2026-03-01T13:00:{seconds}Z"}
    assert rules_of_close(CANCEL, later) == found
    assert rules(replace(DONE, broker=(*DONE.broker, CANCEL, later))) == found


def test_a_trade_closed_long_after_its_stop_was_taken_back_is_found_unless_the_clean_run_does_so_too():
    closed = closed_after("30")
    assert {found.rule for found in broken(Aftermath(CLEAN_CLOSE, DONE, closed, None))} == {"position without stop"}
    assert broken(Aftermath(Clean(DONE, closed), DONE, closed, None)) == ()


def closed_after(seconds):
    """The books of a close that deals so long after its stop was taken back."""
    dealt = [record | {"time": f"2026-03-01T13:00:{seconds}Z"} for record in (CLOSING, CLOSED)]
    return State(closed_books(), (*DONE.broker, CANCEL, *dealt))


@pytest.mark.parametrize(
    ("clean", "after", "found"),
    [("00.950", "01.010", []), ("01.500", "01.510", []), ("01.500", "02.500", []), ("01.500", "02.510", ["2.51 s"])],
)
def test_a_strike_may_add_the_limit_to_the_longest_time_without_a_stop_of_the_clean_run(clean, after, found):
    broke = broken(Aftermath(Clean(DONE, closed_after(clean)), DONE, closed_after(after), None))
    assert [each.measured for each in broke] == [f"{spell} without one" for spell in found]
    assert [each.expected for each in broke] == ["at most 2.5 s without a stop"] * len(found)


def test_a_stop_taken_back_while_another_waits_leaves_no_gap():
    second = STOP | {"id": "65", "type": "TRAILING_STOP_LOSS_ORDER"}
    held = replace(DONE, broker=(FUNDED, ORDER, OPENED, STOP, second))
    later = NEXT_STOP | {"id": "80", "time": "2026-03-01T13:00:50Z"}
    after = replace(held, broker=(*held.broker, CANCEL | {"id": "70"}, later))
    clean = Clean(held, CLEAN_CLOSE.end)
    assert "position without stop" not in {found.rule for found in broken(Aftermath(clean, held, after, None))}


def test_a_trade_that_goes_without_its_stop_in_the_clean_run_too_may_do_so():
    loosened = Clean(DONE, replace(DONE, broker=(*DONE.broker, CANCEL)))
    assert rules_of_close(CANCEL, clean=loosened) == set()


def test_a_stop_that_comes_back_on_another_trade_or_at_another_price_is_another_end():
    priced = replace(DONE, broker=(FUNDED, ORDER, OPENED, STOP | {"price": "1.05"}))
    clean = Clean(priced, CLEAN_CLOSE.end)

    def ends(stop):
        after = replace(priced, broker=(*priced.broker, CANCEL, stop))
        return {found.rule for found in broken(Aftermath(clean, priced, after, None))}

    assert ends(NEXT_STOP | {"price": "1.05"}) == set()
    assert ends(NEXT_STOP | {"price": "1.01"}) == {"neither done nor undone"}
    assert "position without stop" in ends(NEXT_STOP | {"price": "1.05", "tradeID": "17"})


@pytest.mark.parametrize("kind", ["LIMIT_ORDER", "STOP_ORDER", "MARKET_IF_TOUCHED_ORDER"])
def test_an_order_that_the_ledger_gave_up_and_the_broker_still_holds_is_no_legal_end(kind):
    held = State(ledger(**order("cancelled")), (FUNDED, LIMIT | {"type": kind}))
    (found,) = broken(Aftermath(CLEAN, START, held, None))
    assert found.rule == "neither done nor undone"
    assert found.measured == f"{kind} EUR_USD 1000 price 1.05"
    cancelled = {"id": "5", "type": "ORDER_CANCEL", "orderID": "4", "time": OPENED["time"]}
    assert rules(replace(held, broker=(*held.broker, cancelled))) == set()


def test_a_stop_that_is_moved_later_was_there_in_time():
    assert rules(replace(DONE, broker=(*DONE.broker, CANCEL, NEXT_STOP))) == set()


@pytest.mark.parametrize(
    "words",
    [
        {"order_id": "intent-1", "status": "FILLED"},
        {"order_id": "4", "status": "ok"},
        {"order_id": "an id of its own"},
        {"order_id": {"id": 4}, "status": ["filled"]},
        {"ticket": 7},
    ],
)
def test_a_target_says_what_it_has_done_in_words_and_ids_of_its_own(words):
    assert rules(DONE, acknowledged=words) == set()
    assert rules(START, acknowledged=words) == {"acknowledged and lost"}


def test_a_status_of_the_contract_is_taken_by_its_word_whichever_of_the_orders_ids_it_is_told_of():
    cancelled = replace(DONE, ledger=ledger(**order("cancelled"), **POSITION))
    for word in ("order_id", "client_order_id"):
        said = {"order_id": cancelled.ledger["orders"]["intent-1"][word], "status": "filled"}
        assert "acknowledged and lost" in rules(cancelled, acknowledged=said)


def test_of_a_ledger_without_client_ids_no_order_is_called_unintended():
    def blind(state):
        orders = {key: row | {"client_order_id": None} for key, row in state.ledger["orders"].items()}
        return replace(state, ledger=state.ledger | {"orders": orders})

    clean = Clean(blind(START), blind(DONE))
    assert broken(Aftermath(clean, clean.start, clean.end, None)) == ()
    assert "execution without intent" in rules(blind(DONE))


def test_an_intent_is_executed_in_as_many_orders_as_in_the_clean_run_and_no_more():
    def sliced(slices):
        records, units = [FUNDED], str(1000 // 2)
        for number in range(slices):
            at = str(10 * number + 4), str(10 * number + 5)
            records += [ORDER | {"id": at[0]}, OPENED | {"id": at[1], "orderID": at[0], "units": units}]
            records.append(STOP | {"id": str(10 * number + 6), "tradeID": "5"})
        return replace(DONE, broker=tuple(records))

    clean = Clean(START, sliced(2))
    found = [{each.rule for each in broken(Aftermath(clean, START, sliced(slices), None))} for slices in (2, 3)]
    assert found[0] == set()
    assert {"intent executed twice", "dealt more than asked for"} <= found[1]


def test_an_amount_is_the_same_however_many_zeros_are_written_behind_it():
    def written(balance, units):
        accounts = {"a": START.ledger["accounts"]["a"] | {"balance": balance}}
        position = POSITION["positions"]["p"] | {"units": units}
        return replace(DONE, ledger=DONE.ledger | {"accounts": accounts, "positions": {"p": position}})

    assert rules(written("100000.0000", "1000.0")) == set()
    assert rules(written("100000.0001", "1000")) != set()


def test_what_was_acknowledged_must_be_done():
    answer = {"order_id": "intent-1", "status": "filled"}
    assert rules(DONE, acknowledged=answer) == set()
    assert rules(START, acknowledged=answer) == {"acknowledged and lost"}
    assert rules(START, acknowledged={}) == {"acknowledged and lost"}
    for words in ("ok", "closed", "done"):
        assert rules(DONE, acknowledged={"status": words}) == set()
        assert rules(START, acknowledged={"status": words}) == {"acknowledged and lost"}
    for nothing in ("rejected", "cancelled", "pending"):
        assert rules(START, acknowledged={"status": nothing}) == set()


def test_the_difference_holds_changed_rows_only():
    assert difference(START, START) == {}
    changes = difference(START, DONE)
    assert set(changes) == {"orders", "positions", "broker"}
    assert set(changes["orders"]) == {"added"}
    moved = copy.deepcopy(DONE.ledger)
    moved["orders"]["intent-1"]["status"] = "rejected"
    assert difference(DONE, State(moved, DONE.broker)) == {
        "orders": {"changed": {"intent-1": {"status": ["filled", "rejected"]}}}
    }
