"""The ways by which a cell's addresses reach a program that cannot be told them by its environment alone.

[chaos]
hosts = ["api-fxpractice.oanda.com"]      # the broker's names that are written into the program
host_override = true                      # they are then this machine's for it; without it HTTPS_PROXY leads there

[[chaos.files]]
template = "/srv/desk/config.template.json"    # its {ledger_url}, {broker_url}, … are filled with the cell's own
name = "config.json"                           # written into {cell_folder}, for its owner alone

[chaos.postgrest]                               # where the program reaches its books over HTTP
command = ["postgrest"]
environment = { PGRST_DB_URI = "{ledger_url}", PGRST_SERVER_PORT = "{port}", PGRST_DB_ANON_ROLE = "service" }
path = "/rest/v1"                               # what its clients write before the names of tables
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gates.targets.filling import filled, secrets_of, variable
from gates.targets.secrets import TargetUnreachableError
from gates.targets.words import in_file

MOST_BYTES = 1024 * 1024
MOST_FILES = 20


@dataclass(frozen=True, slots=True)
class CellFile:
    """One file of the program's: its name in the cell's folder, and its text with places."""

    name: str
    text: str

    def filled(self, places: Mapping[str, str]) -> str:
        """The text with the cell's own in every place; all other braces stay."""
        return in_file(self.text, places)


@dataclass(frozen=True, slots=True)
class RestServer:
    """A PostgREST and how to start it. Its texts hold `{ledger_url}`, of the cell's database, and `{port}`, its own.

    `ready` answers 2xx once it serves; `path` is what clients write before what it knows, and is taken off.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    ready: str
    path: str = ""
    folder: str | None = None
    start_limit_s: float = 30.0
    secrets: tuple[str, ...] = field(default=(), repr=False)  # hidden in what it says

    def filled(self, places: Mapping[str, str]) -> "RestServer":
        """The same with every place filled in. Raises TargetUnreachableError for an unknown place."""
        return replace(
            self,
            command=tuple(filled(part, places) for part in self.command),
            environment={name: filled(value, places) for name, value in self.environment.items()},
            ready=filled(self.ready, places),
        )


@dataclass(frozen=True, slots=True)
class Ways:
    """`hosts` are answered for by the cell's broker: by HTTPS_PROXY, or with `host_override` under their own names.

    With `postgrest` the program reaches its books over HTTP, and that is the boundary on which it is struck.
    """

    hosts: tuple[str, ...] = ()
    host_override: bool = False
    files: tuple[CellFile, ...] = ()
    postgrest: RestServer | None = None


PLAIN = Ways()


def ways_of(spec: Mapping[str, Any]) -> Ways:
    """Read them from a description. Raises TargetUnreachableError, naming the file that cannot be used."""
    chaos = spec.get("chaos") or {}
    files = tuple(map(_file, (chaos.get("files") or ())[:MOST_FILES]))
    hosts = tuple(str(host).lower() for host in chaos.get("hosts") or ())
    rest = _rest(chaos["postgrest"]) if chaos.get("postgrest") else None
    return Ways(hosts, bool(chaos.get("host_override")), files, rest)


def _rest(said: Mapping[str, Any]) -> RestServer:
    where = "[chaos.postgrest] environment"
    environment = said.get("environment") or {}
    server = RestServer(
        command=tuple(map(str, said["command"])),
        environment={str(name): variable(f"{where}.{name}", value) for name, value in environment.items()},
        ready=str(said.get("ready") or "http://127.0.0.1:{port}/"),
        path=str(said.get("path") or "").rstrip("/"),
        folder=said.get("folder"),
        start_limit_s=float(said.get("start_limit_s") or 30.0),
        secrets=secrets_of(where, environment),
    )
    server.filled({"ledger_url": "0", "port": "0"})
    return server


def _file(said: Mapping[str, Any]) -> CellFile:
    path = Path(str(said["template"]))
    where = f"[[chaos.files]] template {path}"
    try:
        if path.stat().st_size > MOST_BYTES:
            raise TargetUnreachableError(f"{where} is larger than 1 MiB: give the file that the program is set up by.")
        text = path.read_text()
    except OSError as error:
        raise TargetUnreachableError(f"{where} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise TargetUnreachableError(f"{where} is not in UTF-8: save it so.") from None
    try:
        in_file(text, None)
    except ValueError as error:
        raise TargetUnreachableError(f"{where} {error}.") from None
    return CellFile(str(said["name"]), text)
