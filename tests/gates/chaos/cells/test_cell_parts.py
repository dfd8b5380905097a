"""What a cell is made of: processes that only their owner signals, and databases made from a template."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import psutil
import psycopg
import pytest

from gates.chaos.cells.cell import Cell
from gates.chaos.cells.ledgers import LedgerServer
from gates.chaos.cells.ports import reserved_port
from gates.chaos.cells.processes import NotOursError, OwnedProcess, end_all, start_ticks
from gates.chaos.cells.target import IF_WELL, OutlivedError, TargetNotReadyError, TargetProcess
from gates.chaos.messages import Channel
from gates.chaos.proxies.control import ProxyGoneError
from gates.targets.programs import Program, read_program
from gates.targets.ways import PLAIN
from gates.workers import place

SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)")
PARENT = (
    *(sys.executable, "-c"),
    "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "print(child.pid, flush=True); time.sleep(60)",
)


def started(argv, tmp_path):
    return OwnedProcess.start(argv, env=os.environ, log=tmp_path / "log")


def read_soon(path: Path) -> str:
    for _ in range(200):
        if text := path.read_text():
            return text
        time.sleep(0.02)
    raise AssertionError(f"nothing came into {path}")


def test_a_kill_is_over_when_the_process_and_its_children_are_dead(tmp_path):
    process = started(PARENT, tmp_path)
    child = psutil.Process(int(read_soon(tmp_path / "log")))
    death = asyncio.run(process.kill())
    assert (death.pid, death.signal, death.returncode) == (process.pid, "SIGKILL", -signal.SIGKILL)
    assert not process.alive
    _, alive = psutil.wait_procs([child], timeout=5)
    assert not alive
    process.close()


SUPERVISOR = (
    *(sys.executable, "-c"),
    'import subprocess, sys, time; word = \'import subprocess, sys; print(subprocess.Popen([sys.executable, "-c",'
    ' "import time; time.sleep(60)"], start_new_session=True).pid, flush=True); sys.stdin.read()\';'
    "subprocess.Popen([sys.executable, '-c', word], process_group=0, stdin=subprocess.PIPE); time.sleep(60)",
)


@pytest.mark.parametrize("ends", ["kill", "end"])
def test_what_a_supervisor_has_started_in_groups_of_its_own_is_dead_with_it(tmp_path, ends):
    before = psutil.Process().num_fds()
    process = started(SUPERVISOR, tmp_path)
    grandchild = psutil.Process(int(read_soon(tmp_path / "log")))
    family = [grandchild, grandchild.parent()]
    assert {os.getpgid(each.pid) for each in family}.isdisjoint({os.getpgid(process.pid)})
    asyncio.run(process.kill() if ends == "kill" else process.end(30))
    assert [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE] == []
    process.close()
    assert psutil.Process().num_fds() == before


SERVER = """
import http.server, os, sys
class Door(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
with http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Door) as server:
    print(os.getpid(), flush=True)
    server.serve_forever()
"""
DAEMON = f"""
import os, sys, time
if os.fork() == 0:
    os.setsid()
    between = os.getpid()
    if os.fork() == 0:
        while os.getppid() == between:
            time.sleep(0.01)
        env = os.environ if sys.argv[2] == "marked" else {{}}
        os.execve(sys.executable, [sys.executable, "-c", {SERVER!r}, sys.argv[1]], env)
    os._exit(0)
os.wait()
time.sleep(60)
"""


async def with_a_daemon(environment, tmp_path):
    """A target that has let a daemon go which answers for it, with the environment that it got or a bare one."""
    with reserved_port(1) as port:
        command = (sys.executable, "-c", DAEMON, str(port), environment)
    program = Program(command=command, environment={}, ready=f"http://127.0.0.1:{port}/", operations={})
    target = TargetProcess(program, tmp_path / "log")
    target.start()
    return target, psutil.Process(int(read_soon(tmp_path / "log")))


def test_a_daemon_that_the_target_let_go_dies_with_it(tmp_path):
    async def steps():
        target, daemon = await with_a_daemon("marked", tmp_path)
        assert os.getsid(daemon.pid) != os.getsid(target.process.pid)
        assert daemon.ppid() != target.process.pid
        try:
            await target.wait_ready(60)
            await target.kill()
            assert not daemon.is_running() or daemon.status() == psutil.STATUS_ZOMBIE
        finally:
            with suppress(psutil.NoSuchProcess):
                daemon.kill()
        await target.close()

    asyncio.run(steps())


def test_a_stranger_that_answers_in_the_place_of_a_killed_target_is_no_proof_of_its_death(tmp_path):
    async def steps():
        target, daemon = await with_a_daemon("bare", tmp_path)
        try:
            with pytest.raises(TargetNotReadyError, match=f"Process {daemon.pid} answers in the target's place"):
                await target.wait_ready(60)
            with pytest.raises(OutlivedError, match=f"process {daemon.pid} outlived the kill"):
                await target.kill()
            with pytest.raises(TargetNotReadyError, match=f"process {daemon.pid} still answers in its place"):
                target.start()
        finally:
            daemon.kill()
            psutil.wait_procs([daemon], timeout=30)
        assert target.still_listening() is None
        await target.close()

    asyncio.run(steps())


def test_a_process_that_does_not_heed_sigterm_is_killed(tmp_path):
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    process = started((sys.executable, "-c", deaf), tmp_path)
    read_soon(tmp_path / "log")
    assert asyncio.run(process.end(0.2)).signal == "SIGKILL"
    process.close()


def test_a_process_of_another_start_time_is_never_signalled(tmp_path):
    process = started(SLEEPER, tmp_path)
    true_start, process.started_ticks = process.started_ticks, process.started_ticks - 1
    with pytest.raises(NotOursError, match="not the one"):
        asyncio.run(process.kill())
    assert process.alive
    process.started_ticks = true_start
    process.close()
    assert not psutil.pid_exists(process.pid)


def test_a_closed_process_leaves_no_descriptor(tmp_path):
    before = psutil.Process().num_fds()
    for _ in range(5):
        process = started(SLEEPER, tmp_path)
        asyncio.run(process.kill())
        process.close()
    assert psutil.Process().num_fds() == before


def test_a_child_dies_with_whoever_started_it(tmp_path):
    code = (
        "import os, sys, pathlib; from gates.chaos.cells.processes import OwnedProcess;"
        f"p = OwnedProcess.start({SLEEPER!r}, env=os.environ, log=pathlib.Path({str(tmp_path / 'log')!r}));"
        "print(p.pid, flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen((sys.executable, "-c", code), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child = psutil.Process(int(owner.stdout.readline()))
    owner.kill()
    owner.communicate()
    _, alive = psutil.wait_procs([child], timeout=5)
    assert not alive


def test_a_database_is_a_copy_of_its_template_and_is_dropped_with_its_sessions(postgres_server):
    async def steps():
        server = LedgerServer(postgres_server.url())
        kept = await server.create("kept")
        with psycopg.connect(server.url_of(kept), autocommit=True) as connection:
            connection.execute("CREATE TABLE told AS SELECT 1 AS n")
        copy = await server.create("run", template=kept)
        holder = psycopg.connect(server.url_of(copy), autocommit=True)
        assert holder.execute("SELECT n FROM told").fetchone() == (1,)
        await server.drop(copy)
        holder.close()
        await server.drop(kept)
        assert await server.mine() == []

    asyncio.run(steps())


def test_a_database_that_is_not_a_cells_is_never_dropped(postgres_server):
    with pytest.raises(NotOursError, match="not a database of a cell"):
        asyncio.run(LedgerServer(postgres_server.url()).drop("postgres"))


def test_the_databases_of_a_dead_engine_are_swept_and_those_of_a_living_one_or_another_machine_stay(postgres_server):
    gone = subprocess.Popen(SLEEPER)
    dead = f"{gone.pid}_{start_ticks(gone.pid)}_1_run"
    gone.kill()
    gone.wait()
    left, elsewhere, unknown = (
        f"wartest_cell_{place()}_{dead}",
        f"wartest_cell_0123456789ab_{dead}",
        f"wartest_cell_{dead}",
    )

    async def steps():
        server = LedgerServer(postgres_server.url())
        mine = await server.create("run")
        for name in (left, elsewhere, unknown):
            postgres_server.create_database(name)
        assert await server.sweep() == [left]
        assert await server.mine() == [mine]
        for name in (mine, elsewhere, unknown):  # who knows by name that it is over may drop it from anywhere
            await server.drop(name)
        assert await server.sweep() == []

    asyncio.run(steps())


@pytest.mark.parametrize("dead_by_then", [True, False])
def test_what_a_dead_owner_left_is_ended_with_all_that_it_had_started(tmp_path, dead_by_then):
    """The kernel ends the first process with its owner, and no other."""
    process = started(SUPERVISOR, tmp_path)
    grandchild = psutil.Process(int(read_soon(tmp_path / "log")))
    family = [grandchild, grandchild.parent()]
    if dead_by_then:
        psutil.Process(process.pid).kill()
    asyncio.run(end_all((process.pid, process.started_ticks), process.mark))
    assert not process.alive
    assert [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE] == []
    process.close()


def test_a_number_that_belongs_to_another_by_now_is_not_ended_nor_are_its_children(tmp_path):
    process = started(PARENT, tmp_path)
    child = psutil.Process(int(read_soon(tmp_path / "log")))
    asyncio.run(end_all((process.pid, process.started_ticks - 1), "the mark of another"))
    assert process.alive
    assert child.status() != psutil.STATUS_ZOMBIE
    process.close()


TELLING = """
import http.server, sys, urllib.parse
class Door(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(urllib.parse.unquote(self.path[1:]).encode())
with http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Door) as server:
    server.serve_forever()
"""
TOLD = {
    '{"status": "failing", "reason": "the ledger is lost: s3cret"}': "it says failing: the ledger is lost: •••",
    '{"status": "UP"}': f"it says UP: {IF_WELL}",
    '{"status": null}': f"it says nothing: {IF_WELL}",
    '{"status": "ok", "build": "b-1"}': "",
    '{"ready": true}': "",
    '["failing"]': "",
    "failing": "",
}


def test_a_target_that_answers_200_and_says_that_it_is_not_well_is_not_well(tmp_path):
    async def steps():
        with reserved_port(1) as port:
            said = {"command": [sys.executable, "-c", TELLING, str(port)], "ready": f"http://127.0.0.1:{port}/"}
        target = TargetProcess(read_program({"process": said}), tmp_path / "log")
        target.secrets = ("s3cret",)
        target.start()
        await target.wait_ready(60)
        heard = {}
        for health_by in ("answer", "status code"):
            for told in TOLD:
                asked = said | {"ready": said["ready"] + quote(told), "health_by": health_by}
                target.program = read_program({"process": asked})
                heard[health_by, told] = await target.unwell()
        await target.close()
        return heard

    by_answer = {("answer", told): words for told, words in TOLD.items()}
    assert asyncio.run(steps()) == by_answer | {("status code", told): "" for told in TOLD}


SAYS = """
import os, sys
print("x" * 2000, os.environ["TOKEN"], os.environ["LEDGER"], "password=s3/cret", "s3%2Fcret", "Bearer " + sys.argv[1])
"""


def test_what_a_target_says_is_without_the_secrets_that_it_was_given(tmp_path, monkeypatch):
    monkeypatch.setenv("OF_THE_BROKER", "token-of-the-broker")
    monkeypatch.setenv("OF_THE_LEDGER", "postgresql://desk:s3%2Fcret@127.0.0.1/books")
    said = {
        "command": [sys.executable, "-c", SAYS, "token-of-the-cell"],
        "ready": "http://127.0.0.1:1/",
        "environment": {"TOKEN": "env:OF_THE_BROKER", "LEDGER": "env:OF_THE_LEDGER"},
    }

    async def steps():
        target = TargetProcess(read_program({"process": said}), tmp_path / "log")
        assert "token" not in repr(target.program).replace("token-of-the-cell", "")
        target.secrets += ("token-of-the-cell",)
        target.start()
        with pytest.raises(TargetNotReadyError) as ended:
            await target.wait_ready(60)
        await target.kill()
        await target.close()
        return str(ended.value), [target.last_words(characters) for characters in range(1, 120)]

    ended, words = asyncio.run(steps())
    assert words[-1].endswith("xxx ••• ••• password=••• ••• Bearer •••")
    for text in (ended, *words):
        assert not [part for part in ("of-the", "s3", "cret", "@127") if part in text], text


class GoneProxy:
    async def reset(self):
        raise ProxyGoneError("The proxy has ended")


def test_a_cell_whose_proxy_has_ended_still_gives_everything_back(postgres_server, tmp_path):
    async def steps():
        ledgers = LedgerServer(postgres_server.url())
        program = SimpleNamespace(secrets=(), ready="http://127.0.0.1:1/")
        premises = SimpleNamespace(program=program, folder=tmp_path, ways=PLAIN, ledgers=ledgers)
        cell = Cell(premises, 1, {Channel.LEDGER: SimpleNamespace(control=GoneProxy())}, 1)
        cell.folder.path.mkdir()
        cell.database, cell._kept = made = [await ledgers.create(word) for word in ("run", "kept")]
        with pytest.raises(ProxyGoneError):
            await cell.close()
        return set(made) & set(await ledgers.mine()), cell.folder.path.exists()

    assert asyncio.run(steps()) == (set(), False)
