import os
import signal
import stat

import psutil
import psycopg
import pytest

from wartest_site.embedded.children import CannotStartError, free_port, start_child
from wartest_site.embedded.postgres import prepare_postgres, running_postgres


def one(url: str, query: str) -> object:
    with psycopg.connect(url, connect_timeout=5) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def test_it_answers_on_loopback_in_utc_and_utf8(postgres_server):
    assert one(postgres_server.url(), "SHOW listen_addresses") == "127.0.0.1"
    assert one(postgres_server.url(), "SHOW unix_socket_directories") == ""
    assert one(postgres_server.url(), "SHOW timezone") == "UTC"
    assert one(postgres_server.url(), "SHOW server_encoding") == "UTF8"


def test_nobody_gets_in_without_the_password(postgres_server):
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(postgres_server.url().replace(postgres_server.password, "wrong"), connect_timeout=5)


def test_a_random_password_is_not_stretched(postgres_server):
    assert one(postgres_server.url(), "SELECT rolpassword FROM pg_authid WHERE rolcanlogin").startswith(
        "SCRAM-SHA-256$1:"
    )


def test_the_password_file_is_private(postgres_server):
    assert stat.S_IMODE((postgres_server.home / "password").stat().st_mode) == 0o600
    assert not (postgres_server.home / "password.new").exists()


def test_creating_a_database_twice_gives_the_same_one(postgres_server):
    first = postgres_server.create_database("twice")
    assert postgres_server.create_database("twice") == first
    assert one(first, "SELECT current_database()") == "twice"


@pytest.fixture
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("pg")


def test_after_a_kill_it_starts_again_with_its_data_and_a_half_made_directory_is_made_anew(home):
    (home / "data.new").mkdir()
    (home / "data.new" / "PG_VERSION").write_text("18\n")  # what an interrupted initdb leaves
    server = prepare_postgres(home, port=free_port())
    with (home / "log").open("ab") as log:
        process = start_child(server.process("postgres"), log=log, cwd=home)
    server.wait_ready(alive=lambda: process.poll() is None)
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(process.pid, signal.SIGKILL)
    process.wait(5)
    (home / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n")  # the pid now belongs to somebody else
    with running_postgres(home) as again:
        assert again.password == server.password
        assert one(again.url(), "SELECT answer FROM kept") == 42
        postmaster = psutil.Process(int((home / "data" / "postmaster.pid").read_text().split()[0]))
    assert not postmaster.is_running()


def test_a_taken_port_is_said_in_one_sentence(home, postgres_server):
    server = prepare_postgres(home, port=postgres_server.port)
    with (home / "log").open("ab") as log:
        process = start_child(server.process("postgres"), log=log, cwd=home)
    process.wait(20)
    assert b"Address already in use" in (home / "log").read_bytes()


def test_a_lost_password_is_said_in_one_sentence(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(CannotStartError, match="password is missing"):
        prepare_postgres(tmp_path, port=1)
