"""Real proxies before real servers, shared by the tests of a session and reset before each."""

import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psycopg
import pytest
from django.utils import timezone

from gates.chaos.proxies.authority import Authority
from gates.models import Target
from gates.targets.rehearsal import cell_target
from tests.gates.chaos.owners import Owner, owned_proxy
from wartest_site.embedded.children import free_port
from wartest_site.embedded.postgres import PostgresServer

START_S = 20
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

    def insert(self, name: str = "a") -> None:
        """One execution, committed through the proxy."""
        with psycopg.connect(self.url) as connection:
            connection.execute("INSERT INTO executions (name) VALUES (%s)", (name,))

    def executions(self) -> list[str]:
        return [str(name) for (name,) in self.ask("SELECT name FROM executions ORDER BY id")]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.in_folder(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def shown(authority: Authority) -> tuple[str, str]:
    """What a proxy is told that clients may speak TLS with."""
    return ("--certificate", str(authority.issue_into(authority.certificate.with_name("shown.pem"))))


@pytest.fixture(scope="session")
def ledger_owner(postgres_server: PostgresServer, shown: tuple[str, str]) -> Iterator[Owner]:
    with owned_proxy("postgres", f"127.0.0.1:{postgres_server.port}", *shown) as owner:
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


@dataclass
class Web:
    """An HTTP server, reached through its proxy (`client`) and beside it (`direct`)."""

    owner: Owner
    client: httpx.Client
    direct: httpx.Client

    def orders(self) -> list[str]:
        return list(self.direct.get("/v3/accounts/101-001-1-001/orders").json())


@contextmanager
def running_origin(*options: str) -> Iterator[int]:
    """The port of a running HTTP server."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.gates.chaos.origin", str(port), *options])
    try:
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            assert process.poll() is None, "the server ended at once"
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def origin_port() -> Iterator[int]:
    with running_origin() as port:
        yield port


@pytest.fixture(scope="session")
def web_owner(origin_port: int, authority: Authority, shown: tuple[str, str]) -> Iterator[Owner]:
    with owned_proxy("http", f"127.0.0.1:{origin_port}", *shown) as owner:
        owner.authority = authority.certificate
        yield owner


@pytest.fixture
def web(web_owner: Owner, origin_port: int) -> Iterator[Web]:
    web_owner.reset()
    with (
        httpx.Client(base_url=f"http://127.0.0.1:{web_owner.port}", timeout=20) as client,
        httpx.Client(base_url=f"http://127.0.0.1:{origin_port}", timeout=20) as direct,
    ):
        assert direct.delete("/v3/accounts/101-001-1-001/orders").status_code == 204
        yield Web(web_owner, client, direct)


@pytest.fixture
def desk_target(postgres_server: PostgresServer, transactional_db: None) -> Target:
    """A target whose program is the desk; what its own ledger and broker are plays no part in a cell."""
    spec = cell_target(postgres_server.create_database("desk"))
    return Target.objects.create(name="desk", spec=spec, created_at=timezone.now())
