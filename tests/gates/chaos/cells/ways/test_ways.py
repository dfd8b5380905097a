"""A program with its broker's address written into it is led to the cell's broker, struck there, and to nobody else."""

import asyncio
import json
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gates.chaos.cells import ways
from gates.chaos.cells.brokers import running_simulator
from gates.chaos.cells.cell import Cell, running_cell
from gates.chaos.cells.ledgers import LedgerServer
from gates.chaos.cells.premises import Premises
from gates.chaos.cells.ways import OwnFolder, listening_place
from gates.chaos.faults import LoseAnswer
from gates.chaos.messages import Channel, Direction, Receipt
from gates.chaos.proxies.events import Struck
from gates.chaos.proxies.safety import UnsafeError
from gates.chaos.safety import demand_safe
from gates.targets.programs import read_program
from gates.targets.secrets import TargetUnreachableError
from gates.targets.ways import CellFile, Ways, ways_of
from gates.targets.words import PLACES
from tests.gates.chaos.proxies.test_node import command

HERE = Path(__file__).parent
HOST = "api-fxpractice.oanda.com"
SETTINGS = (
    '{"account": "{account}", "token": "{token}", "port": {port}, "books": "{ledger_user}@{ledger_name}", "a": {}}'
)
ORDERS = "broker: POST orders answered 201"
LIMIT_S = 120


def spec(program: list[str], asks: tuple[str, ...], template: Path, **chaos: Any) -> dict[str, Any]:
    template.write_text(SETTINGS)
    files = [{"template": str(template), "name": "settings.json"}]
    ways = zip(("open", "close"), asks, strict=True)
    return {
        "process": {"command": program, "ready": "http://127.0.0.1:{port}/", "folder": "{cell_folder}"},
        "operations": {name: {"post": f"http://127.0.0.1:{{port}}/{ask}"} for name, ask in ways},
        "chaos": {"hosts": [HOST], "files": files, **chaos},
    }


@asynccontextmanager
async def started(told: dict[str, Any], ledger_url: str, folder: Path) -> AsyncIterator[Cell]:
    """A cell with the program running in it."""
    async with running_simulator(folder) as simulator:
        ledgers = LedgerServer(ledger_url)
        premises = Premises(read_program(told), ledgers, simulator, folder, ways=ways_of(told))
        async with asyncio.timeout(LIMIT_S), running_cell(premises, 1) as cell:
            await simulator.open_account(cell.account)
            cell.database = await ledgers.create("kept")
            await cell.start()
            yield cell


@pytest.fixture
def in_cell(postgres_server: Any) -> Callable[..., Any]:
    def run(told: dict[str, Any], work: Callable[[Cell], Awaitable[Any]]) -> Any:
        async def doing() -> Any:
            with tempfile.TemporaryDirectory(prefix="ways-") as folder:  # a socket's path must be short
                async with started(told, postgres_server.url(), Path(folder)) as cell:
                    done = await work(cell)
                assert not cell.folder.path.exists()
                return done

        return asyncio.run(doing())

    return run


async def struck_at_the_answer(cell: Cell, operation: str) -> tuple[Receipt, str, int]:
    """Ask once to see the message, then again with its answer lost; the receipt, the target's words, orders placed."""
    assert (await cell.ask(operation)).success, cell.target.last_words()
    point = next(each.point for each in await cell.messages() if each.label == ORDERS)
    wire = cell.wires[Channel.BROKER].control
    await wire.reset()
    await wire.arm(point, LoseAnswer())
    answer = await cell.ask(operation)
    assert not answer.success
    while not isinstance(event := (await cell.events.get())[1], Struck):
        pass
    orders = [
        each for each in await cell.premises.simulator.transactions(cell.account) if each["type"] == "MARKET_ORDER"
    ]
    return event.receipt, str(answer.body["error"]), len(orders)


@pytest.mark.parametrize("client", ["httpx", "requests"])
def test_https_proxy_leads_python_to_the_cells_broker_and_to_no_other_host(
    in_cell: Callable[..., Any], tmp_path: Path, client: str, capfd: pytest.CaptureFixture[str]
) -> None:
    program = [sys.executable, str(HERE / "hard_wired.py"), "settings.json", client]

    async def work(cell: Cell) -> tuple[Any, ...]:
        settings = cell.folder.path / "settings.json"
        told, mode = json.loads(settings.read_text()), settings.stat().st_mode & 0o777
        return (*await struck_at_the_answer(cell, "open"), await cell.ask("close"), told, mode)

    receipt, words, orders, live, told, mode = in_cell(
        spec(program, ("place", "live"), tmp_path / "settings.template"), work
    )
    assert receipt.message is not None
    assert (receipt.message.label, receipt.message.direction) == (ORDERS, Direction.ANSWER)
    assert receipt.proof["answer"] == "201"
    assert "201" not in words
    assert orders == 2, "the broker did what was asked, and the target was not told"
    assert not live.success
    assert "api-fxtrade.oanda.com is a live broker: a cell never reaches one" in capfd.readouterr().err
    assert (told["a"], mode) == ({}, 0o600)
    assert told["books"].split("@")[1].startswith("wartest_cell_")


@pytest.mark.parametrize(
    ("text", "says"),
    [("{ledger_ur}", "{ledger_ur}, which no cell fills"), (b"\xff", "UTF-8"), (None, "cannot be read")],
)
def test_a_template_that_cannot_be_filled_is_told_by_its_name(tmp_path: Path, text: Any, says: str) -> None:
    template = tmp_path / "settings.template"
    if text is not None:
        template.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TargetUnreachableError, match=says) as refused:
        ways_of({"chaos": {"files": [{"template": str(template), "name": "settings.json"}]}})
    assert str(template) in str(refused.value)


def test_braces_of_the_files_own_stay_and_places_are_filled(tmp_path: Path) -> None:
    template = tmp_path / "settings.template"
    template.write_text("{a} {} {{port}} ${token} {ledger_url}{ {x_url}")
    (file,) = ways_of({"chaos": {"files": [{"template": str(template), "name": "x"}]}}).files
    places = dict.fromkeys(PLACES, "P")
    assert file.filled(places) == "{a} {} {P} $P P{ {x_url}"


def test_a_live_brokers_name_is_refused_before_anything_starts() -> None:
    told = {"process": {"command": ["desk"], "ready": "http://127.0.0.1:{port}/"}}
    with pytest.raises(UnsafeError, match="live broker"):
        demand_safe(read_program(told), "127.0.0.1", (), Ways(hosts=("api-fxtrade.oanda.com",)))
    with pytest.raises(UnsafeError, match="live broker"):
        demand_safe(read_program(told), "127.0.0.1", (), Ways(files=(CellFile("x", "https://api-fxtrade.oanda.com"),)))


def test_a_machine_that_allows_no_hosts_of_ones_own_says_so_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = (
        f"import sys; sys.argv[1:] = ['/etc', '--', 'true']; sys.path.insert(0, {str(Path(ways.__file__).parent)!r})\n"
        "import own_hosts\n"
        "def refused(*_): raise PermissionError(1, 'Operation not permitted')\n"
        "own_hosts._leave = refused\n"
        "own_hosts.main()"
    )
    monkeypatch.setattr(ways, "_run_by", lambda folder: (sys.executable, "-c", refusing))
    with pytest.raises(
        UnsafeError, match=r"no program have hosts of its own \(Operation not permitted\): leave .* HTTPS"
    ):
        listening_place(Ways((HOST,), host_override=True))
    assert listening_place(Ways((HOST,))) == "127.0.0.1:0"


def test_what_a_program_wrote_in_its_folder_goes_back_and_tells_its_state(tmp_path: Path) -> None:
    filled = Ways(files=(CellFile("settings.json", "{port}"),))
    one, two = (OwnFolder(tmp_path / name, filled) for name in ("cell-1", "cell-2"))
    for number, folder in enumerate((one, two), start=1):
        folder.lay({"port": str(number)}, "127.0.0.1")
        (folder.path / "spool").mkdir()
        (folder.path / "spool" / "cursor").write_text(
            f"7 of a-{number} in {folder.path} at 2026-11-26T06:00:0{number}Z"
        )
        (folder.path / "desk.pid").write_text(str(number))
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(str(folder.path / "door"))
        folder.keep()
    assert one.written("a-1") == two.written("a-2")
    assert list(one.written("a-1")) == ["spool/cursor"]
    (two.path / "spool" / "cursor").write_text("8")
    (two.path / "journal").write_text("8")
    assert one.written("a-1") != two.written("a-2")
    two.go_back()
    assert one.written("a-1") == two.written("a-2")
    two.empty()
    two.lay({"port": "2"}, "127.0.0.1")
    assert two.written("a-2") == {}
    two.remove()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["cell-1", "cell-1-kept"]


@pytest.fixture
def own_hosts() -> None:
    try:
        listening_place(Ways((HOST,), host_override=True))
    except UnsafeError as error:
        pytest.skip(str(error))  # a right of the kernel: nothing that could be installed gives it


@pytest.mark.usefixtures("own_hosts")
@pytest.mark.parametrize("ask", ["fetch", "https"])
def test_hosts_of_its_own_lead_node_to_the_cells_broker_and_hide_every_other(
    in_cell: Callable[..., Any], tmp_path: Path, ask: str
) -> None:
    program = [*command("node"), str(HERE / "hard_wired.mjs"), "settings.json"]
    told = spec(program, (ask, "live"), tmp_path / "settings.template", host_override=True)

    async def work(cell: Cell) -> tuple[Any, ...]:
        return (*await struck_at_the_answer(cell, "open"), await cell.ask("close"), await cell.target.kill())

    receipt, words, orders, live, death = in_cell(told, work)
    assert receipt.message is not None
    assert receipt.message.label == ORDERS
    assert "201" not in words
    assert orders == 2
    assert "ENOTFOUND" in live.body["error"] or "EAI_AGAIN" in live.body["error"], live.body
    assert death.signal == "SIGKILL"
