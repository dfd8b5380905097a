"""A target in a cell is asked by a command, by a row of its queue, or by waiting: each is done, refused or in time."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from gates.chaos.cells.asking import DONE_BEFORE, by_command, by_ledger
from gates.chaos.cells.target import TargetProcess
from gates.chaos.messages import Channel, Direction, Message, Strike
from gates.chaos.proxies.events import Decision, Held
from gates.chaos.strikes.striking import kill_at
from gates.targets.asks import Ask, read_ask
from gates.targets.programs import Program, read_program
from gates.targets.secrets import TargetUnreachableError

SHORT_S = 0.3


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def command(code, *, limit_s=20.0):
    return Ask(command=(sys.executable, "-c", code), limit_s=limit_s)


def ask_command(ask, log):
    return asyncio.run(by_command(ask, {"PATH": os.environ["PATH"], "DESK": "here"}, log, None))


def test_a_command_is_done_by_its_exit_code_and_sees_the_cells_environment_alone(tmp_path):
    log = tmp_path / "log"
    os.environ["WARTEST_TEST_SECRET"] = "s"
    code = "import os,sys; print(os.environ['DESK']); sys.exit('WARTEST_TEST_SECRET' in os.environ)"
    assert ask_command(command(code), log) == (200, {})
    assert log.read_text() == "here\n"
    status, told = ask_command(command("raise SystemExit(3)"), log)
    assert (status, "exit code 3" in told["error"]) == (500, True)


def test_a_command_that_does_not_end_is_killed_with_what_it_started(tmp_path):
    log = tmp_path / "log"
    ask = Ask(command=("/bin/sh", "-c", "sleep 600 & echo $!; wait"), limit_s=3)
    status, told = ask_command(ask, log)
    assert (status, "did not end" in told["error"]) == (None, True)
    child = int(log.read_text())
    until = time.monotonic() + 20
    while is_alive(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert not is_alive(child)


def test_a_program_that_is_not_there_is_no_answer(tmp_path):
    status, told = asyncio.run(by_command(Ask(command=("/none/such",)), {}, tmp_path / "log", None))
    assert (status, "could not be started" in told["error"]) == (None, True)


TARGET = """
import os, sys, time
open(sys.argv[1], "w").write(str(os.getpid()))
while not os.path.exists(sys.argv[1] + ".end"):
    time.sleep(0.01)
sys.exit(3)
"""
# It does the work itself, by a child without our mark too, and may say that it was done when it sees the target dead.
WORKER = """
import os, select, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env={}, start_new_session=True)
target = os.pidfd_open(int(open(sys.argv[1]).read()))
print(os.getpid(), child.pid, flush=True)
select.select([target] if sys.argv[2] == "lies" else [], [], [])
os._exit(0)
"""


async def working_for(tmp_path, how):
    """A target that was asked by a command, that asking, and the processes which do the work."""
    number, log = tmp_path / "number", tmp_path / "log"
    close = Ask(command=(sys.executable, "-c", WORKER, str(number), how))
    program = Program((sys.executable, "-c", TARGET, str(number)), {}, "http://127.0.0.1:1/", {"close": close})
    target = TargetProcess(program, log)
    target.start()
    await until(lambda: number.exists() and number.read_text())
    asking = asyncio.create_task(target.ask("close"))
    await until(lambda: log.read_text().endswith("\n"))
    return target, asking, [int(word) for word in log.read_text().split()]


async def until(condition):
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_command_that_works_for_the_target_is_killed_with_it_and_acknowledges_nothing(tmp_path):
    async def steps():
        target, asking, workers = await working_for(tmp_path, "lies")
        death = await target.kill()
        left = [pid for pid in workers if is_alive(pid)]
        answer = await asking
        await target.close()
        return death, left, answer

    death, left, answer = asyncio.run(steps())
    assert (death.signal, death.returncode, left) == ("SIGKILL", -signal.SIGKILL, [])
    assert (answer.status, "was ended by signal 9" in str(answer.body)) == (None, True)


def test_a_target_that_ended_by_itself_gives_no_receipt_and_nobody_works_on_for_it(tmp_path):
    decided = []

    class Wire:
        async def decide(self, held_id, decision, **proof):
            decided.append((held_id, decision, proof))

    async def steps():
        target, asking, workers = await working_for(tmp_path, "stays")
        (tmp_path / "number.end").touch()
        await until(lambda: not target.alive)
        order = Message(Channel.BROKER, Direction.REQUEST, "POST orders", 1, "broker: POST orders", 0.0, 1)
        cell = SimpleNamespace(target=target, wires={Channel.BROKER: SimpleNamespace(control=Wire())})
        why = await kill_at(cell, Held(7, Strike.KILL_BEFORE, order))
        left = [pid for pid in workers if is_alive(pid)]
        answer = await asking
        await target.close()
        return why, left, answer

    why, left, answer = asyncio.run(steps())
    assert (why, left) == ("No receipt: the target had ended by itself before it was killed.", [])
    assert decided == [(7, Decision.DISCARD, {})]
    assert not answer.success


def test_a_target_that_does_not_run_is_asked_for_nothing(tmp_path):
    close = Ask(command=(sys.executable, "-c", "open('done', 'w')"))
    program = Program(("/none",), {}, "http://127.0.0.1:1/", {"close": close}, str(tmp_path))
    target = TargetProcess(program, tmp_path / "log")
    answer = asyncio.run(target.ask("close"))
    assert (answer.status, list(tmp_path.iterdir())) == (None, [])


@pytest.fixture
def queue(ledger_database):
    with psycopg.connect(ledger_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE wishes (id serial PRIMARY KEY, what text, done boolean DEFAULT false)")
    return ledger_database


async def asked_while(ask, url, *statements, alive=lambda: True):
    """Ask, and do what the target would do once the row is there."""
    asking = asyncio.create_task(by_ledger(ask, url, alive))
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for statement in statements:
            while (await connection.execute(statement)).rowcount == 0:
                await asyncio.sleep(0.01)
    return await asking


OPEN = "INSERT INTO wishes (what) VALUES ('open 100%') RETURNING id"


def test_a_row_of_the_queue_is_done_once_its_own_row_says_so(queue):
    with psycopg.connect(queue, autocommit=True) as connection:
        connection.execute("INSERT INTO wishes (what, done) VALUES ('an older one', true)")
    ask = Ask(queue=OPEN, done="SELECT done FROM wishes WHERE id = %(asked)s", limit_s=20)
    assert asyncio.run(asked_while(ask, queue, "UPDATE wishes SET done = true WHERE NOT done")) == (200, {})


def test_what_happens_by_itself_is_done_once_the_value_is_another(queue):
    ask = Ask(done="SELECT count(*) FROM executions", limit_s=20)

    async def happening():
        asking = asyncio.create_task(by_ledger(ask, queue, lambda: True))
        async with await psycopg.AsyncConnection.connect(queue, autocommit=True) as connection:
            while not asking.done():
                await connection.execute("INSERT INTO executions (name) VALUES ('by itself')")
                await asyncio.sleep(0.05)
        return await asking

    assert asyncio.run(happening()) == (200, {})


def test_what_was_true_before_it_began_says_nothing_of_what_happens_by_itself(queue):
    status, told = asyncio.run(by_ledger(Ask(done="SELECT true", limit_s=SHORT_S), queue, lambda: True))
    assert (status, DONE_BEFORE in told["error"]) == (None, True)


def test_a_queue_that_nobody_works_on_is_no_answer_in_bounded_time(queue):
    ask = Ask(queue=OPEN, done="SELECT done FROM wishes WHERE id = %(asked)s", limit_s=SHORT_S)
    status, told = asyncio.run(by_ledger(ask, queue, lambda: True))
    assert (status, "not done within 0.3 s" in told["error"]) == (None, True)
    status, told = asyncio.run(by_ledger(Ask(queue=OPEN, done=ask.done), queue, lambda: False))
    assert (status, "target ended" in told["error"]) == (None, True)
    status, told = asyncio.run(by_ledger(Ask(queue="INSERT INTO nowhere VALUES (1)", done="SELECT 1"), queue, bool))
    assert (status, 'relation "nowhere" does not exist' in told["error"]) == (None, True)


def test_a_description_says_one_way_for_each_and_a_live_host_in_a_command_is_seen():
    told = {
        "process": {"command": ["desk"], "ready": "http://127.0.0.1:{port}/"},
        "operations": {"open": {"command": "ask --url {broker_url} open"}, "close": {"wait": True, "done": "SELECT 1"}},
    }
    program = read_program(told).filled({"broker_url": "http://127.0.0.1:9", "port": "1"})
    assert program.operations["open"].command == ("ask", "--url", "http://127.0.0.1:9", "open")
    assert program.operations["close"].done == "SELECT 1"
    with pytest.raises(TargetUnreachableError, match="needs done"):
        read_ask("open", {"wait": True})
    with pytest.raises(TargetUnreachableError, match="no shell"):
        read_ask("open", {"command": "ask open > log"})
