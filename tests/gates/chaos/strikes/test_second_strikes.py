"""A recovery is struck in the order and from the state in which it was recorded, once it was recorded to its end."""

import asyncio
import sys
from dataclasses import replace

import psycopg
import pytest

from gates.chaos.cells import cell as cells
from gates.chaos.cells.cell import QUIET_S
from gates.chaos.cells.digests import digest_of
from gates.chaos.cells.noise import Noise
from gates.chaos.messages import Point, Strike
from gates.chaos.strikes import second_strikes
from gates.chaos.strikes.clean_runs import NotSteadyError, record_clean
from gates.chaos.strikes.recovery import RESTARTED
from gates.chaos.strikes.second_strikes import OTHER_STATE, record_recovery
from gates.chaos.strikes.settling import REST_S
from gates.chaos.strikes.striking import Unwritten
from gates.chaos.strikes.trying import try_once
from gates.chaos.trials import Trial
from gates.rehearsal.desk.schema import STATEMENTS
from tests.gates.chaos.desk import running_desk


async def struck_twice(spec, folder):
    """A kill after the replay was asked for, and one in the recovery: by its recorded order, and by another."""
    async with running_desk(spec, folder) as cell:
        clean_run = await record_clean(cell, "replay")
        first = Trial("replay", clean_run.baseline.points[0].point, Strike.KILL_AFTER)
        found = await record_recovery(cell, first, clean_run.clean)
        points, script = found.baseline.points, found.baseline.script
        place = points[len(points) // 2]
        order = script.without_openings
        then = found.then(place.point, Strike.KILL_BEFORE)
        shifted = replace(script, order=(*order[1:], order[0]))
        thens = [then, replace(then, script=shifted), replace(then, state="another")]
        return place, [await try_once(cell, replace(first, then=then), clean_run.clean, Unwritten()) for then in thens]


def test_a_second_kill_keeps_its_receipt_only_in_the_order_of_the_recovery_that_was_recorded(desk_target, tmp_path):
    place, (result, shifted, elsewhere) = asyncio.run(struck_twice(desk_target.spec, tmp_path))
    assert (result.verdict, result.receipt["then"]["message"]) == ("passed", place.label)
    assert f"→ {place.label}" in result.messages[result.messages.index(RESTARTED) :]
    assert (shifted.verdict, shifted.receipt) == ("inconclusive", None)
    assert shifted.reason.startswith("In the recovery: The wrong message was struck: message 1 since the target was")
    assert (elsewhere.verdict, elsewhere.receipt) == ("inconclusive", None)
    assert elsewhere.reason == f"In the recovery: {OTHER_STATE}"


async def recorded_while_it_only_paused(spec, folder):
    """How many recoveries are recorded where the target says after the first that it was not over."""
    async with running_desk(spec, folder) as cell:
        clean_run = await record_clean(cell, "replay")
        quiet, unwell, rests, words = cell.quiet, cell.target.unwell, [], ["it has only paused"]

        async def resting(for_s=QUIET_S):
            rests.extend([for_s] if for_s == REST_S else [])
            return await quiet(for_s)

        async def unwell_once():
            return words.pop() if rests and words else await unwell()

        cell.quiet, cell.target.unwell = resting, unwell_once
        first = Trial("replay", clean_run.baseline.points[0].point, Strike.KILL_AFTER)
        found = await record_recovery(cell, first, clean_run.clean)
        return len(rests), len(found.baseline.points)


def test_a_recovery_that_only_paused_is_recorded_again(desk_target, tmp_path):
    recorded, points = asyncio.run(recorded_while_it_only_paused(desk_target.spec, tmp_path))
    assert recorded == 3
    assert points


JOURNAL = """CREATE SCHEMA own;
    CREATE TABLE own.journal (id serial, token text, took_ms integer, state text);
    CREATE FUNCTION own.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO own.journal (token, took_ms, state)
        VALUES (substr(md5(random()::text), 1, 20), (random() * 1e6)::integer, NEW.status);
        RETURN NEW;
    END $$;
    CREATE TRIGGER noted AFTER INSERT OR UPDATE ON wartest.orders FOR EACH ROW EXECUTE FUNCTION own.note()"""
CHANGES = (
    "UPDATE wartest.orders SET status = 'cancelled'",
    "UPDATE desk.cursors SET last_transaction_id = last_transaction_id + 1",
)


async def with_a_journal_of_its_own(spec, folder):
    """Kills before the order is sent of a desk that journals with random tokens and durations, and one more in the
    recovery from what they leave; and whether a status or a cursor tells states apart where the orders are noise.
    """
    async with running_desk(spec, folder) as cell:
        clean = (await record_clean(cell, "open")).clean
        place = next(kind for kind in clean.script.order if kind[2].startswith("POST") and "orders" in kind[2])
        first = Trial("open", Point(*place, 1), Strike.KILL_BEFORE)
        found = await record_recovery(cell, first, clean)
        middle = found.baseline.points[len(found.baseline.points) // 2]
        trial = replace(first, then=found.then(middle.point, Strike.KILL_BEFORE))
        result = await try_once(cell, trial, clean, Unwritten())
        noise, states = Noise(tables=frozenset({("own", "journal"), ("wartest", "orders")})), []
        for change in ("", *CHANGES):
            await (await cell.direct()).execute(change)
            states.append(await digest_of(cell, noise))
        return clean.noise, result, states


def test_two_kills_of_a_desk_with_random_tokens_and_durations_leave_one_state_and_its_recovery_is_struck(
    desk_target, tmp_path
):
    dump = tmp_path / "desk.sql"
    dump.write_text(";\n".join((*STATEMENTS, JOURNAL)))
    desk_target.spec["chaos"] = desk_target.spec.get("chaos", {}) | {"schema_file": str(dump)}
    noise, result, states = asyncio.run(with_a_journal_of_its_own(desk_target.spec, tmp_path))
    assert noise.words == ["own.journal.token", "own.journal.took_ms"]
    assert (result.verdict, result.reason, bool(result.receipt)) == ("passed", "", True)
    assert result.receipt["then"]["proof"]["signal"] == "SIGKILL"
    assert len(set(states)) == len(states)


def stood_in_for(cell, script, *words):
    """Let a script stand in for the desk wherever it is launched without being waited for, as for a second strike;
    empty while it does, for as long as the cell lives.
    """
    led, start, whole = cell.folder.led, cell.start, []

    async def started():
        whole.append(True)
        try:
            return await start()
        finally:
            whole.clear()

    def standing_in(program, places):
        command = (sys.executable, "-c", script, *(word.format(**places) for word in words))
        return led(program, places) if whole else replace(program, command=command)

    cell.start, cell.folder.led = started, standing_in
    return whole


LAZY = """
import http.client, http.server, sys
class Lazy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        for broker in sys.argv[2:]:
            asked = http.client.HTTPConnection(broker)
            asked.request("GET", "/v3/accounts")
            asked.getresponse().read()
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Lazy).serve_forever()
"""


async def recovering_lazily(spec, folder, *asks):
    """The recovery of a desk that a lazy one stands in for until its second death, and a kill in it, if that can be."""
    async with running_desk(spec, folder) as cell:
        clean = (await record_clean(cell, "replay")).clean
        stood_in_for(cell, LAZY, "{port}", *asks)
        first = Trial("replay", Point(*clean.script.order[0], 1), Strike.KILL_AFTER)
        found = await record_recovery(cell, first, clean)
        if found.silent:
            return found, None
        trial = replace(first, then=found.then(found.baseline.points[0].point, Strike.KILL_BEFORE))
        return found, await try_once(cell, trial, clean, Unwritten())


def test_a_recovery_that_sends_nothing_until_it_is_well_has_nothing_to_strike(desk_target, tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "READY_LIMIT_S", 1.0)
    found, _ = asyncio.run(recovering_lazily(desk_target.spec, tmp_path))
    assert (found.silent, found.asked, bool(found.state)) == (True, True, True)


def test_a_recovery_that_begins_when_it_is_asked_whether_it_is_well_is_struck_then(desk_target, tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "READY_LIMIT_S", 1.0)
    found, result = asyncio.run(recovering_lazily(desk_target.spec, tmp_path, "{broker_host}:{broker_port}"))
    assert (found.silent, found.asked) == (False, True)
    assert (result.verdict, result.reason, bool(result.receipt)) == ("passed", "", True)
    assert result.receipt["then"]["message"] == found.baseline.points[0].label


POLLING = """
import http.client, http.server, sys, threading, time, psycopg
port, broker, ledger, after_s = sys.argv[1:]
def ask():
    asked = http.client.HTTPConnection(broker)
    asked.request("GET", "/v3/accounts")
    asked.getresponse().read()
class Well(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
ask()
threading.Thread(target=http.server.HTTPServer(("127.0.0.1", int(port)), Well).serve_forever).start()
time.sleep(float(after_s))
ask()
with psycopg.connect(ledger, autocommit=True) as books:
    books.execute("UPDATE wartest.accounts SET balance = balance - 1")
"""


async def recovering_by_a_poll(spec, folder, *, after_s, catch_up_s):
    """The recovery of a desk that another stands in for until its second death, which says that it is well and books
    what it has missed only at its next turn; and a kill at the last message of that.
    """
    said = spec | {"process": spec["process"] | {"catch_up_s": catch_up_s}}
    async with running_desk(said, folder) as cell:
        clean = (await record_clean(cell, "replay")).clean
        whole = stood_in_for(cell, POLLING, "{port}", "{broker_host}:{broker_port}", "{ledger_url}", str(after_s))
        launch = cell.launch

        def launched():
            with psycopg.connect(cell.ledger_url, autocommit=True) as books:
                books.execute("UPDATE wartest.accounts SET balance = balance + %s", (0 if whole else 1,))
            launch()

        cell.launch = launched
        first = Trial("replay", Point(*clean.script.order[0], 1), Strike.KILL_AFTER)
        found = await record_recovery(cell, first, clean)
        trial = replace(first, then=found.then(found.baseline.points[-1].point, Strike.KILL_AFTER))
        return found, await try_once(cell, trial, clean, Unwritten())


def test_a_recovery_that_books_at_its_next_turn_what_it_has_missed_is_struck_at_that_too(
    desk_target, tmp_path, monkeypatch
):
    monkeypatch.setattr(second_strikes, "LATE_S", 0.2)
    found, result = asyncio.run(recovering_by_a_poll(desk_target.spec, tmp_path, after_s=2, catch_up_s=15))
    labels = [point.label for point in found.baseline.points]
    assert "ledger: UPDATE wartest.accounts" in labels
    assert result.reason == ""
    assert result.receipt["then"]["message"] == labels[-1]


def test_a_recovery_whose_books_never_come_right_is_no_recovery_to_strike(desk_target, tmp_path):
    with pytest.raises(NotSteadyError, match="Its books were not right"):
        asyncio.run(recovering_by_a_poll(desk_target.spec, tmp_path, after_s=5, catch_up_s=0))
