"""TLS and SCRAM through the proxy, in each arrangement of client and server."""

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import OperationalError

from gates.chaos.proxies.authority import Authority
from tests.gates.chaos.owners import Owner, owned_proxy
from tests.needs import lacks
from wartest_site.embedded.children import free_port

# The wheel's PostgreSQL knows no TLS; that of a Debian package does.
PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
START_S = 30


@dataclass
class SecureServer:
    """A PostgreSQL that speaks TLS and asks for SCRAM."""

    port: int
    password: str
    certificate: Path
    key: Path

    def url(self, port: int) -> str:
        return f"postgresql://wartest:{self.password}@127.0.0.1:{port}/postgres"

    def connects(self, owner: Owner, **how: str) -> bool:
        """Whether a query is answered through the proxy."""
        with psycopg.connect(self.url(owner.port), **how) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureServer]:
    if not PLACES:
        lacks("These tests need a PostgreSQL with TLS: apt-get install postgresql")
    home = tmp_path_factory.mktemp("secure")
    made = SecureServer(free_port(), secrets.token_urlsafe(12), home / "data/server.crt", home / "data/server.key")
    user = "postgres" if os.geteuid() == 0 else None
    (home / "password").write_text(made.password)
    if user:
        for folder in home.parents:
            folder.chmod(folder.stat().st_mode | 0o001)
        for path in (home, home / "password"):
            shutil.chown(path, user, user)
    asked = ["-U", "wartest", "--auth=scram-sha-256", f"--pwfile={home / 'password'}", "--no-sync"]
    subject = ["-subj", "/CN=localhost", "-keyout", made.key, "-out", made.certificate]
    for command in (
        [PLACES[-1].with_name("initdb"), "-D", home / "data", *asked],
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject],
    ):
        subprocess.run(command, check=True, capture_output=True, user=user, group=user, cwd="/")
    options = ["ssl=on", f"port={made.port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"]
    command = [PLACES[-1], "-D", home / "data", *(part for option in options for part in ("-c", option))]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, user=user, group=user, cwd="/", stdout=log, stderr=log)
    try:
        _await(made)
        yield made
    finally:
        process.terminate()
        process.wait(START_S)


def _await(server: SecureServer) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            psycopg.connect(server.url(server.port)).close()
        except OperationalError:
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.05)
        else:
            return


def test_a_client_in_the_clear_reaches_a_server_behind_tls(server: SecureServer):
    with owned_proxy("postgres", f"127.0.0.1:{server.port}", "--upstream-tls") as owner:
        for binding in ("disable", "prefer"):
            assert server.connects(owner, channel_binding=binding)
        with pytest.raises(OperationalError, match="does not support SSL"):
            server.connects(owner, sslmode="require")


def test_channel_binding_holds_with_the_servers_own_key(server: SecureServer):
    options = ("--upstream-tls", "--server-certificate", str(server.certificate), "--server-key", str(server.key))
    with owned_proxy("postgres", f"127.0.0.1:{server.port}", *options) as owner:
        for binding in ("disable", "prefer", "require"):
            assert server.connects(owner, sslmode="require", channel_binding=binding)


def test_a_client_that_verifies_trusts_the_projects_authority(server: SecureServer, tmp_path: Path):
    authority = Authority.in_folder(tmp_path)
    root, shown = authority.certificate, authority.issue_into(tmp_path / "shown.pem")
    with owned_proxy("postgres", f"127.0.0.1:{server.port}", "--certificate", str(shown)) as owner:
        assert server.connects(owner, sslmode="verify-full", sslrootcert=str(root))
        assert server.connects(owner, sslmode="require", sslnegotiation="direct")
        with pytest.raises(OperationalError, match="channel binding"):
            server.connects(owner, sslmode="require", channel_binding="require")


@pytest.mark.parametrize("wire", ["postgres", "http"])
def test_a_proxy_starts_without_what_makes_certificates(wire: str):
    code = f"import sys, gates.chaos.proxies.{wire}; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=START_S).returncode == 0
