"""Real proxies before real servers, shared by the tests of a session and reset before each."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from tests.gates.chaos.owners import Owner, owned_proxy
from wartest_site.embedded.postgres import PostgresServer

TABLES = """
    CREATE TABLE executions (id serial PRIMARY KEY, name text, amount numeric);
    CREATE TABLE orders (id int PRIMARY KEY, state text);
    INSERT INTO orders VALUES (1, 'new'), (2, 'new');
"""


@dataclass
class Ledger:
    """A database, reached through its proxy (`url`) and beside it (`direct`)."""

    owner: Owner
    url: str
    direct: str

    def ask(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.direct, autocommit=True) as connection:
            return connection.execute(query).fetchall()

    def executions(self) -> list[str]:
        return [str(name) for (name,) in self.ask("SELECT name FROM executions ORDER BY id")]


@pytest.fixture(scope="session")
def ledger_owner(postgres_server: PostgresServer) -> Iterator[Owner]:
    with owned_proxy("postgres", f"127.0.0.1:{postgres_server.port}") as owner:
        yield owner


@pytest.fixture
def ledger_database(postgres_server: PostgresServer) -> str:
    url = postgres_server.create_database(f"chaos_{uuid.uuid4().hex[:12]}")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLES)
    return url


@pytest.fixture
def ledger(ledger_owner: Owner, ledger_database: str, postgres_server: PostgresServer) -> Ledger:
    ledger_owner.reset()
    through = ledger_database.replace(f":{postgres_server.port}/", f":{ledger_owner.port}/")
    return Ledger(ledger_owner, through, ledger_database)
