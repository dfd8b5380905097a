"""A foreign desk as it stands at a user's: a database of its own, a practice account, its program trading."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.foreign_desk.ground import HERE, node, with_packages, with_schema
from tests.gates.rehearsal.desk.processes import TOKEN, end, free_port, running_broker
from tests.gates.rehearsal.desk.transactions import ACCOUNT

# So close to the market that it touches many of them within the 20 s of a smoke run.
TRADING = {"STOP_POINTS": "15", "TRADE_MS": "500", "WATCH_MS": "250", "COMPARE_MS": "4000"}


@dataclass(frozen=True)
class Standing:
    """What stands: `secrets` are those that the desk's description names."""

    name: str
    secrets: dict[str, str]
    process: subprocess.Popen[bytes]


@contextmanager
def standing(name: str, server: Any, folder: Path, *, bug: str = "") -> Iterator[Standing]:
    """The desk on a database, an account and a port of its own, with one of its mistakes switched on."""
    program = with_packages(HERE / name)
    files = (f"{name}/schema.sql", f"{name}.views.sql")
    # Of its own name, so that a second desk on the same server does not meet the first one's books.
    database = with_schema(server.create_database(f"{name}_{secrets.token_hex(4)}"), *files)
    with running_broker("--volatility-pips", "0.6") as broker:
        port = free_port()
        own = {
            "DATABASE_URL": database,
            "BROKER_URL": broker.url,
            "BROKER_ACCOUNT": ACCOUNT,
            "BROKER_TOKEN": TOKEN,
            "PORT": str(port),
            "BUG": bug,
        }
        with (folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*node(), "src/main.js"], cwd=program, env=os.environ | TRADING | own, stdout=log, stderr=log
            )
        alive = f"http://127.0.0.1:{port}/alive" if name == "meridian" else f"http://127.0.0.1:{port}/"
        named = {"DATABASE_URL": database, "BROKER_URL": broker.url, "ACCOUNT": ACCOUNT, "TOKEN": TOKEN}
        try:
            yield Standing(
                name, {f"{name.upper()}_{key}": value for key, value in {**named, "ALIVE_URL": alive}.items()}, process
            )
        finally:
            end(process)
