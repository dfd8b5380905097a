"""That a strike does not apply needs evidence as any verdict does: the right message, each table, enough time."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from gates.chaos.baseline import Recording, Script
from gates.chaos.cells.brokers import Disarmed
from gates.chaos.messages import Channel, Direction, Message, Point, Receipt, Strike
from gates.chaos.proxies.events import Struck
from gates.chaos.scenarios.statements import touched
from gates.chaos.strikes.receipts import proof_shape
from gates.chaos.strikes.staleness import stale_lookup
from gates.chaos.strikes.striking import Seen, at_its_message, on_the_wire
from gates.chaos.trials import Trial
from gates.targets.programs import read_program
from gates.targets.rehearsal import cell_program

TABLES = [("desk", "orders"), ("desk", "Fills"), ("wartest", "orders")]


def request(statement, at_s):
    return Message(Channel.LEDGER, Direction.REQUEST, statement, 1, f"ledger: {statement}", at_s, 1)


def test_a_statement_names_a_table_by_its_bare_name_in_any_case_and_in_quotes():
    both = [("desk", "orders"), ("wartest", "orders")]
    assert touched("UPDATE orders SET status = ? WHERE id = ?", TABLES) == both
    assert touched("insert into ORDERS (a) values (?)", TABLES) == both
    assert touched('UPDATE "orders" SET a = ?', TABLES) == both
    assert touched("UPDATE Desk.Orders SET a = ?", TABLES) == [("desk", "orders")]
    assert touched('UPDATE "Desk".orders SET a = ?', TABLES) == []
    assert touched('DELETE FROM ONLY "Fills" USING x', TABLES) == [("desk", "Fills")]
    assert touched("UPDATE fills SET a = ?", TABLES) == []
    assert touched('SELECT * FROM orders JOIN desk."Fills" ON ?', TABLES) == [*both, ("desk", "Fills")]
    assert touched("COMMIT", TABLES) == []


def test_what_does_not_apply_at_a_message_of_the_background_may_apply_at_the_operations_own():
    order = ("BEGIN", "UPDATE orders", "UPDATE accounts")
    script = Script(tuple((Channel.LEDGER, Direction.REQUEST, statement) for statement in order))
    own = [request(statement, at_s) for at_s, statement in enumerate(order, start=1)]
    background = request("UPDATE accounts", 0.5)
    for passed, met, applies in ((own, own[2], False), ([background, *own[:2]], background, True)):
        recording = Recording(tuple(passed), {})
        seen = at_its_message(Seen(None, 1.0, "Not applicable.", applies=False, met=met), recording, script)
        assert (seen.receipt, seen.applies) == (None, applies)
        assert seen.missed.startswith("The wrong message was struck" if applies else "Not applicable.")


def looking_up(after_s):
    """A cell whose target looks its order up so long after it has answered."""
    answered = []

    async def ask():
        answered.append(time.monotonic())

    async def arm(*_):
        return 1

    async def disarm(_):
        looked_up_at = answered[0] + after_s
        if time.monotonic() < looked_up_at:
            return Disarmed(0, "", 0.0)
        return Disarmed(1, "GET /v3/accounts/101-001-0000001-001/transactions/sinceid", looked_up_at)

    return ask, SimpleNamespace(
        account="a", premises=SimpleNamespace(simulator=SimpleNamespace(arm=arm, disarm=disarm))
    )


def test_a_look_up_that_comes_a_little_after_the_answer_is_answered_stale_too_and_the_receipt_names_it():
    async def steps():
        ask, cell = looking_up(after_s=0.1)
        point = Point(Channel.BROKER, Direction.REQUEST, "POST orders", 1)
        trial = Trial("open", point, Strike.STALE_LOOKUP, {"age_ms": 200})
        async with stale_lookup(cell, trial, point) as follow:
            return await follow(asyncio.create_task(ask()))

    seen = asyncio.run(steps())
    assert seen.applies
    shape = proof_shape(seen.receipt)
    assert shape["message"] == shape["proof"]["first_stale_lookup"] == "broker: GET transactions sinceid"
    assert shape["proof"]["lookups_answered_stale"] == 1
    assert 100 <= shape["proof"]["first_stale_lookup_after_ms"] <= 200


@pytest.mark.parametrize("left_open", [0, 1])
def test_nothing_is_left_half_open_where_no_connection_was_open(left_open):
    message = request("CONNECT", 1.0)
    receipt = Receipt(Strike.KILL_BEFORE, message, 1.0, {"pid": 1, "left_open": left_open})

    async def arm(*_, **__):
        return None

    async def steps():
        cell = SimpleNamespace(wires={Channel.LEDGER: SimpleNamespace(control=SimpleNamespace(arm=arm))})
        cell.premises = SimpleNamespace(program=read_program(cell_program()))
        cell.events = asyncio.Queue()
        cell.events.put_nowait((Channel.LEDGER, Struck(receipt)))
        trial = Trial("open", message.point, Strike.KILL_BEFORE, {}, half_open=True)
        async with on_the_wire(cell, trial, message.point) as follow:
            return await follow(asyncio.create_task(arm()))

    seen = asyncio.run(steps())
    assert (seen.receipt, seen.applies) == ((receipt, True) if left_open else (None, False))
    assert seen.met == (None if left_open else message)
