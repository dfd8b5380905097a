"""What watches real money can only ask: nothing of gate 4 holds a client of its own, or the stage's switch but for a
rehearsal."""

import ast
from pathlib import Path

import gates.live_capital

FOLDER = Path(gates.live_capital.__file__).parent
CLIENTS = {"httpx", "requests", "urllib", "http", "socket", "aiohttp"}


def imported():
    for path in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from ((path.name, name) for name in names)


def test_gate_4_has_no_way_to_the_network_but_the_reader_that_asks():
    found = [one for one in imported() if one[1].split(".")[0] in CLIENTS and not one[1].startswith("urllib.parse.")]
    assert found == []


def test_the_stage_is_reached_from_the_two_modules_that_ask_whether_it_is_a_rehearsal():
    assert {file for file, name in imported() if name.endswith("targets.stage")} == {"commands.py", "months.py"}
    for file in ("commands.py", "months.py"):
        assert "is_simulated(target)" in (FOLDER / file).read_text()
