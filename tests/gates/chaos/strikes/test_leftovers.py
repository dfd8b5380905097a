"""Strikes give back all that they hold. `manage.py benchmark chaos --scale 1000` says the same of a thousand."""

import asyncio
import socket
import subprocess
import sys

import pytest

from gates.chaos.cells.cell import running_cell
from gates.chaos.cells.ledgers import LedgerServer
from gates.chaos.engine.running import running_premises
from gates.chaos.scenarios.scenario import KILLS
from gates.chaos.strikes.clean_runs import record_clean
from gates.chaos.strikes.striking import Unwritten
from gates.chaos.strikes.trying import try_once
from gates.targets.rehearsal import cell_target
from wartest_site.benchmarks.leftovers import held

CELLS, STRIKES = 2, 6


@pytest.fixture
def spec(postgres_server):
    return cell_target(postgres_server.create_database("desk"))


async def struck(spec, folder):
    """Strike in two cells at once; what was held before, meanwhile and afterwards, and the verdicts."""
    ledgers = LedgerServer(spec["ledger"]["url"])
    before = await held(ledgers)
    async with (
        running_premises(spec, folder) as premises,
        running_cell(premises, 1) as one,
        running_cell(premises, 2) as two,
    ):
        clean_run = await record_clean(one, "replay")
        await two.prepare(one.prepared)
        trials = [trial for aim in KILLS for _, trial in aim.trials("replay", clean_run.baseline.points)]
        shares = (trials[:STRIKES:CELLS], trials[1:STRIKES:CELLS])

        async def share(cell, mine):
            return [(await try_once(cell, trial, clean_run.clean, Unwritten())).verdict for trial in mine]

        verdicts = await asyncio.gather(*map(share, (one, two), shares))
        meanwhile = await held(ledgers)
    return before, meanwhile, await held(ledgers), [verdict for each in verdicts for verdict in each]


def test_strikes_leave_no_process_port_database_or_descriptor(spec, tmp_path):
    before, meanwhile, after, verdicts = asyncio.run(struck(spec, tmp_path))
    assert verdicts == ["passed"] * STRIKES
    assert all(count > 0 for count in meanwhile.since(before).values())
    assert after.since(before) == {"processes": 0, "ports": 0, "databases": 0, "descriptors": 0}


def test_what_is_held_is_seen(postgres_server):
    """The measure itself can fail: a child, an open port and a descriptor too many are counted."""
    ledgers = LedgerServer(postgres_server.url())
    before = asyncio.run(held(ledgers))
    with subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE) as child, socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        port.listen()
        more = asyncio.run(held(ledgers)).since(before)
        child.terminate()
    assert more == {"processes": 1, "ports": 1, "databases": 0, "descriptors": 2}
