"""A desk that runs beside a portal, its books on a server of their own, described as a user would."""

import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gates.targets.rehearsal import cell_program
from tests.gates.rehearsal.desk.processes import TOKEN, running_broker, running_desk, wait_until
from tests.gates.rehearsal.desk.transactions import ACCOUNT
from wartest_site.embedded.postgres import running_postgres

STILL = ("--no-trading", "--reconcile-every-s", "3600")


@dataclass
class Place:
    """A running desk with its broker, and the description that its variables fill."""

    ledger_url: str
    broker: Any
    desk: Any

    @property
    def variables(self):
        return {"LEDGER_URL": self.ledger_url, "OANDA_ACCOUNT_ID": ACCOUNT, "OANDA_API_KEY": TOKEN}

    @property
    def spec(self):
        told = cell_program()
        health = f"http://127.0.0.1:{self.desk.port}/health"
        return {
            "ledger": {"url": "env:LEDGER_URL", "schema": "wartest"},
            "broker": {
                "kind": "oanda",
                "url": self.broker.url,
                "account": "env:OANDA_ACCOUNT_ID",
                "token": "env:OANDA_API_KEY",
            },
            "process": told["process"] | {"command": list(told["process"]["command"]), "health": health},
            "operations": told["operations"],
        }


@pytest.fixture(scope="package")
def place():
    with (
        tempfile.TemporaryDirectory(prefix="wartest-own-") as home,
        running_postgres(Path(home), durable=False) as server,
        running_broker("--no-feed") as broker,
    ):
        ledger_url = server.create_database(f"desk_{uuid.uuid4().hex[:8]}")
        with running_desk(ledger_url, broker.url, *STILL) as desk:
            wait_until(desk.is_well, what="the desk is well")
            assert desk.ask("open", instrument="EUR_USD").status_code == 200
            yield Place(ledger_url, broker, desk)
