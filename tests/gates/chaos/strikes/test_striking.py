"""A strike is evidence only where it hit the operation's own message and the kill was complete."""

import asyncio

from gates.chaos.baseline import kind_of
from gates.chaos.messages import Point, Strike
from gates.chaos.strikes import striking, trying
from gates.chaos.strikes.clean_runs import record_clean
from gates.chaos.strikes.striking import Unwritten
from gates.chaos.strikes.trying import try_once, try_until_struck
from gates.chaos.strikes.whose_message import HOLD_MS, UNTOLD
from gates.chaos.trials import Trial
from tests.gates.chaos.desk import running_desk


async def struck_while_the_background_spoke(spec, folder):
    """A kill at the second BEGIN of `close`, where a BEGIN of the desk's poll passes just before it is asked for."""
    point = Point.parse("ledger:answer:2:BEGIN")
    kind = (point.channel, point.direction, point.fingerprint)
    async with running_desk(spec, folder) as cell:
        clean = (await record_clean(cell, "close")).clean
        quiet = cell.quiet

        async def counted_before_a_poll():
            known = await quiet()
            while [kind_of(message) for message in await cell.messages()].count(kind) == known[kind]:
                await asyncio.sleep(0.01)
            cell.quiet = quiet
            return known

        trial, results = Trial("close", point, Strike.KILL_BEFORE), []
        for follow in (try_once, try_until_struck):
            cell.quiet = counted_before_a_poll
            results.append(await follow(cell, trial, clean, Unwritten()))
        return results


def test_a_kill_at_a_message_that_the_background_shifted_is_no_evidence_and_is_made_again(desk_target, tmp_path):
    result, again = asyncio.run(struck_while_the_background_spoke(desk_target.spec, tmp_path))
    assert (again.verdict, again.receipt["message"]) == ("passed", "ledger: BEGIN acknowledged")
    assert result.reason.startswith("The wrong message was struck")
    assert (result.verdict, result.receipt, result.applies) == ("inconclusive", None, True)


def looking_often(spec):
    """The desk as a program that looks at the broker every three seconds, as a target of somebody's own may.

    That is longer than a message is held: a look that was due by then would come before the operation's answer.
    """
    command = list(spec["process"]["command"])
    command[command.index("--poll-every-s") + 1] = "3"
    return spec | {"process": spec["process"] | {"command": command}}


async def struck_instead_of_the_operation(spec, folder, *, always):
    """A request lost where a look of the desk's own sends the same one, before the operation is asked for, once or each
    time; the result, and with how much patience it was tried."""
    async with running_desk(looking_often(spec), folder) as cell:
        clean_run = await record_clean(cell, "reconcile")
        trial = Trial("reconcile", clean_run.baseline.points[0].point, Strike.LOSE_REQUEST)
        ask, reset, patience = cell.ask, cell.reset, []

        async def asked_after_a_look(operation):
            if not always:
                cell.ask = ask
            passed = await cell.messages()
            while len(await cell.messages()) == len(passed):
                await asyncio.sleep(0.01)
            return await ask(operation)

        async def counted():
            patience.append(cell.patient)
            await reset()

        cell.ask, cell.reset = asked_after_a_look, counted
        return await try_until_struck(cell, trial, clean_run.clean, Unwritten()), patience


def test_a_message_like_the_operations_own_is_no_pass_until_the_operation_was_seen_to_wait_for_it(
    desk_target, tmp_path
):
    result, patience = asyncio.run(struck_instead_of_the_operation(desk_target.spec, tmp_path, always=False))
    assert (result.verdict, result.receipt["strike"]) == ("passed", "lose the request")
    assert result.receipt["proof"]["held_ms"] >= HOLD_MS
    assert patience[:2] == [False, True]
    assert result.receipt["tries"] == len(patience)


def test_a_message_of_the_background_that_is_struck_each_time_is_never_a_pass(desk_target, tmp_path, monkeypatch):
    monkeypatch.setattr(trying, "TRIES", 2)
    result, patience = asyncio.run(struck_instead_of_the_operation(desk_target.spec, tmp_path, always=True))
    assert (result.verdict, result.reason) == ("inconclusive", UNTOLD)
    assert patience == [False, True]


async def outlived(spec, folder):
    """A kill before the first message of a replay, where somebody answers in the dead target's place."""
    async with running_desk(spec, folder) as cell:
        clean_run = await record_clean(cell, "replay")
        start = cell.start

        async def started():
            took_ms = await start()
            cell.target.still_listening = lambda: 4711
            return took_ms

        cell.start = started
        trial = Trial("replay", clean_run.baseline.points[0].point, Strike.KILL_BEFORE)
        return await try_once(cell, trial, clean_run.clean, Unwritten())


def test_a_kill_that_something_of_the_target_outlived_has_no_receipt(desk_target, tmp_path):
    result = asyncio.run(outlived(desk_target.spec, tmp_path))
    assert (result.verdict, result.receipt, result.applies) == ("inconclusive", None, True)
    assert result.reason.startswith("No receipt: process 4711 outlived the kill")


def by_itself(spec, every_s):
    """The desk as a program that nobody asks to reconcile: it does so by its own clock."""
    command = list(spec["process"]["command"])
    command[command.index("--reconcile-every-s") + 1] = every_s
    own = {"wait": True, "done": "SELECT count(*) FROM wartest.reconciliations", "limit_s": 60}
    program = {"process": spec["process"] | {"command": command}}
    return spec | program | {"operations": spec["operations"] | {"reconcile": own}}


async def struck_by_its_own_clock(spec, folder):
    """A kill at the last message of what the desk does by itself."""
    async with running_desk(by_itself(spec, "2"), folder) as cell:
        clean_run = await record_clean(cell, "reconcile")
        trial = Trial("reconcile", clean_run.baseline.points[-1].point, Strike.KILL_BEFORE)
        return await try_once(cell, trial, clean_run.clean, Unwritten())


def test_what_the_target_does_by_itself_is_struck_whenever_it_begins_until_its_own_limit(
    desk_target, tmp_path, monkeypatch
):
    monkeypatch.setattr(striking, "STRIKE_LIMIT_S", 0.1)  # a strike whose operation comes later than that
    result = asyncio.run(struck_by_its_own_clock(desk_target.spec, tmp_path))
    assert (result.verdict, result.receipt and result.receipt["message"]) == ("passed", "ledger: COMMIT acknowledged")
