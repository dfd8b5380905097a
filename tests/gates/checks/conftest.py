"""A real desk with real books at a real broker, whose prices move by hand only."""

import uuid
from dataclasses import dataclass

import psycopg
import pytest

from gates.targets.access import Access
from tests.gates.rehearsal.desk.processes import (
    TOKEN,
    BrokerProcess,
    DeskProcess,
    running_broker,
    running_desk,
    wait_until,
)
from tests.gates.rehearsal.desk.transactions import ACCOUNT

STILL = ("--no-trading", "--reconcile-every-s", "3600", "--stop-pips", "300", "--take-profit-pips", "300")


@dataclass
class Books:
    """The desk, its broker and its ledger; `access` is how the portal reaches them."""

    broker: BrokerProcess
    desk: DeskProcess
    ledger_url: str

    @property
    def spec(self):
        return {
            "ledger": {"url": self.ledger_url, "schema": "wartest"},
            "broker": {"url": self.broker.url, "account": ACCOUNT, "token": TOKEN},
            "process": {"health": f"http://127.0.0.1:{self.desk.port}/health"},
        }

    @property
    def access(self):
        health = self.spec["process"]["health"]
        return Access(self.ledger_url, "wartest", self.broker.url, ACCOUNT, TOKEN, health)

    def run(self, *statements):
        with psycopg.connect(self.ledger_url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def one(self, query):
        with psycopg.connect(self.ledger_url) as connection:
            return connection.execute(query).fetchone()

    def fault(self, **fault):
        self.broker.control("POST", "/faults", fault)


@pytest.fixture(scope="package")
def books(postgres_server):
    """Two open positions, one of them reduced; the desk neither trades nor reconciles by itself any more."""
    ledger_url = postgres_server.create_database(f"judged_desk_{uuid.uuid4().hex[:8]}")
    with (
        running_broker("--no-feed") as broker,
        running_desk(ledger_url, broker.url, *STILL) as desk,
    ):
        wait_until(desk.is_well, what="the desk is well")
        for asked in ({"instrument": "EUR_USD"}, {"instrument": "USD_JPY", "units": "-1001"}):
            assert desk.ask("open", **asked).status_code == 200
        assert desk.ask("partial_fill", units="333").status_code == 200
        found = Books(broker, desk, ledger_url)
        margin = "SELECT margin_used FROM wartest.accounts"
        wait_until(lambda: found.one(margin)[0] > 0, what="the desk values its account after orders of its own")
        yield found
