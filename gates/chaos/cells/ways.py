"""What a cell gives its program beside its environment: files, a proxy that leads nowhere else, hosts of its own."""

import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG
from urllib.parse import unquote, urlsplit

from gates.chaos.cells import own_hosts
from gates.chaos.cells.states import told_alike
from gates.chaos.proxies.safety import UnsafeError
from gates.targets.programs import Program
from gates.targets.ways import Ways

HTTPS = 443
ADDRESSES_TRIED = 50
TRY_LIMIT_S = 20
MOST_FILES, MOST_BYTES = 1_000, 16 * 2**20
OF_A_PROCESS = (".log", ".pid", ".lock")
NO_NAMES = "nameserver 127.255.255.254\noptions timeout:1 attempts:1\n"  # where nobody answers
BY_FILE = "passwd: files\ngroup: files\nhosts: files\n"
# Each library reads its own variable; of all of them it is the one file.
TRUSTING = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
LEADING = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
OURS = {"NO_PROXY": "127.0.0.1,localhost,::1", "no_proxy": "127.0.0.1,localhost,::1", "NODE_USE_ENV_PROXY": "1"}


def listening_place(ways: Ways) -> str:
    """Where the broker's proxy listens: any port, or 443 of an address of the cell's own. Raises UnsafeError."""
    if not ways.host_override:
        return "127.0.0.1:0"
    demand_own_hosts()
    refused = ""
    for _ in range(ADDRESSES_TRIED):
        address = f"127.{random.randint(64, 127)}.{random.randint(0, 255)}.{random.randint(1, 254)}"  # noqa: S311
        with socket.socket() as probe:
            try:
                probe.bind((address, HTTPS))
            except OSError as error:
                refused = str(error.strerror)
                continue
        return f"{address}:{HTTPS}"
    raise UnsafeError(
        f"No port {HTTPS} can be had for [chaos] host_override ({refused}): run the portal as a user who may, set "
        f"net.ipv4.ip_unprivileged_port_start = {HTTPS}, or leave host_override out, so that HTTPS_PROXY leads there."
    )


def demand_own_hosts() -> None:
    """Raise UnsafeError where the machine lets no program have hosts of its own; the message says what to do."""
    if sys.platform != "linux":
        raise UnsafeError(own_hosts.SENTENCE.format("it is no Linux"))
    ran = subprocess.run(  # noqa: S603  our own
        [*_run_by(Path("/etc")), "true"], capture_output=True, text=True, timeout=TRY_LIMIT_S, check=False
    )
    if ran.returncode:
        raise UnsafeError(ran.stderr.strip().splitlines()[-1] if ran.stderr.strip() else own_hosts.SENTENCE.format("?"))


def ledger_parts(url: str) -> dict[str, str]:
    """The places for one part of the ledger's address each."""
    parts = urlsplit(url)
    return {
        "ledger_host": parts.hostname or "",
        "ledger_port": str(parts.port or ""),
        "ledger_name": unquote(parts.path.strip("/")),
        "ledger_user": unquote(parts.username or ""),
        "ledger_password": unquote(parts.password or ""),
    }


class OwnFolder:
    """A cell's own folder, gone with the cell.

    It holds the program's files, made anew for each start, and what it writes itself, which goes back with its books.
    """

    def __init__(self, path: Path, ways: Ways) -> None:
        self.path = path
        self._ways = ways
        self._lookup = path.with_name(f"{path.name}-names")
        self._kept = path.with_name(f"{path.name}-kept")

    def empty(self) -> None:
        """Begin with nothing in it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def keep(self) -> None:
        """Keep it as it is for every `go_back`. Raises OSError."""
        shutil.rmtree(self._kept, ignore_errors=True)
        shutil.copytree(self.path, self._kept, symlinks=True, ignore=_special)

    def go_back(self) -> None:
        """Make it as it was kept. Raises OSError."""
        self.empty()
        shutil.copytree(self._kept, self.path, symlinks=True)

    def written(self, account: str) -> dict[str, str]:
        """A hash of each file that the program itself has written: equal for runs that differ in the cell's `account`
        and folder, in random ids and in times only. What tells of a process and not of the books is left out, and of
        what is large the size stands for the rest.
        """
        ours, own = {file.name for file in self._ways.files}, (account, str(self.path))
        paths = [path for path in sorted(self.path.rglob("*")) if path.is_file() and path.suffix not in OF_A_PROCESS]
        found = {"": str(len(paths))} if len(paths) > MOST_FILES else {}
        for path in paths[:MOST_FILES]:
            name = str(path.relative_to(self.path))
            if name not in ours:
                found[name] = told_alike(_beginning(path), own)
        return found

    def lay(self, places: Mapping[str, str], broker_host: str) -> None:
        """Write every file with its places filled, for its owner alone. Raises OSError."""
        self.path.mkdir(mode=0o700, exist_ok=True)
        for file in self._ways.files:
            _write(self.path / file.name, file.filled(places))
        if self._ways.host_override:
            self._lookup.mkdir(mode=0o755, exist_ok=True)
            names = "".join(f"{broker_host} {host}\n" for host in self._ways.hosts)
            _write(self._lookup / "hosts", f"127.0.0.1 localhost\n{names}", mode=0o644)
            _write(self._lookup / "resolv.conf", NO_NAMES, mode=0o644)
            _write(self._lookup / "nsswitch.conf", BY_FILE, mode=0o644)

    def led(self, program: Program, places: Mapping[str, str]) -> Program:
        """The program with what leads its requests to the cell's broker; what it says itself stays."""
        if not self._ways.hosts:
            return program
        added = dict.fromkeys(TRUSTING, places["ca_file"])
        if self._ways.host_override:
            command = (*_run_by(self._lookup), *program.command)
        else:
            added |= dict.fromkeys(LEADING, places["proxy_url"]) | OURS
            command = program.command
        return replace(program, command=command, environment=added | dict(program.environment))

    def remove(self) -> None:
        """Delete it, with every secret in it."""
        for folder in (self.path, self._lookup, self._kept):
            shutil.rmtree(folder, ignore_errors=True)


def _run_by(folder: Path) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", own_hosts.__file__, str(folder), "--")


def _beginning(path: Path) -> str:
    """What a file says; of one above MOST_BYTES the size and as much of it."""
    with path.open("rb") as file:
        text = file.read(MOST_BYTES).decode(errors="replace")
    size = path.stat().st_size
    return f"{size} {text}" if size > MOST_BYTES else text


def _special(folder: str, names: list[str]) -> list[str]:
    """What cannot be copied and does not survive its process either: sockets and pipes."""
    kinds = {name: (Path(folder) / name).lstat().st_mode for name in names}
    return [name for name, mode in kinds.items() if not any(kind(mode) for kind in (S_ISREG, S_ISDIR, S_ISLNK))]


def _write(path: Path, text: str, mode: int = 0o600) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=mode)
    path.write_text(text)
