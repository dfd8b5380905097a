"""The bundled target: how its two processes are started, and how the portal reaches them.

The only module outside `gates.rehearsal` that knows it is there; it starts it and never imports it.
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gates.targets.processes import ProcessSpec

ACCOUNT = "101-001-0000001-001"
LIVE_ACCOUNT = "001-001-0000001-001"  # of the site of real money: the simulator poses as it for the rehearsal of gate 4
LIVE_UNITS = 500  # the largest position of the desk there: some dozen dollars of margin
TOKEN_ENV = "WARTEST_REHEARSAL_TOKEN"  # noqa: S105 - the name of a variable
LEDGER_ENV = "WARTEST_REHEARSAL_LEDGER_URL"
CATALOGUE_LIMIT_S = 30
CELL_POLL_EVERY_S = "20"  # longer than most operations last, shorter than a recovery may: it rarely gets in between
TRADE_EVERY_S = "1"  # so that the market touches many more stops within 20 s than a smoke run must see


@dataclass(frozen=True)
class RehearsalPorts:
    """Loopback ports: the broker's API, its control API, the desk, and the desk of the account that poses as live."""

    broker: int
    control: int
    desk: int
    live_desk: int = 0


def rehearsal_processes(home: Path, ports: RehearsalPorts, desk_database_url: str, token: str) -> list[ProcessSpec]:
    """The broker, then the desk. The broker keeps its journal in `home`, so that both survive a kill together."""
    journal = home / "broker"
    journal.mkdir(parents=True, exist_ok=True)
    broker = ProcessSpec(
        name="broker",
        argv=(
            *(sys.executable, "-m", "gates.rehearsal.broker"),
            *("--port", str(ports.broker), "--control-port", str(ports.control)),
            *("--account", ACCOUNT, "--live-account", LIVE_ACCOUNT, "--journal", str(journal)),
        ),
        env={"BROKER_TOKEN": token},
    )
    argv = (
        *(sys.executable, "-m", "gates.rehearsal.desk", "--port", str(ports.desk)),
        *("--trade-every-s", TRADE_EVERY_S),
    )
    desk = ProcessSpec(name="desk", argv=argv, env=_desk_environment(ports, desk_database_url, token, ACCOUNT))
    return [broker, desk]


def live_desk(ports: RehearsalPorts, database_url: str, token: str) -> ProcessSpec:
    """The same desk on the account that poses as live. It stands by until gate 4 of a rehearsal lets it trade."""
    argv = (
        *(sys.executable, "-m", "gates.rehearsal.desk", "--port", str(ports.live_desk), "--parked"),
        *("--most-units", str(LIVE_UNITS), "--max-open", "4"),
    )
    return ProcessSpec("live-desk", argv, _desk_environment(ports, database_url, token, LIVE_ACCOUNT))


def _desk_environment(ports: RehearsalPorts, database_url: str, token: str, account: str) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "OANDA_URL": f"http://127.0.0.1:{ports.broker}",
        "OANDA_TOKEN": token,
        "OANDA_ACCOUNT_ID": account,
    }


def rehearsal_description(ports: RehearsalPorts, ledger_url: str, live_ledger_url: str) -> dict[str, str]:
    """What the portal needs to register the target; `*_env` name the variables that hold its secrets."""
    return {
        "live_account": LIVE_ACCOUNT,
        "live_desk_url": f"http://127.0.0.1:{ports.live_desk}",
        "live_ledger_url": live_ledger_url,
        "python": sys.executable,
        "broker_url": f"http://127.0.0.1:{ports.broker}",
        "control_url": f"http://127.0.0.1:{ports.control}",
        "desk_url": f"http://127.0.0.1:{ports.desk}",
        "account": ACCOUNT,
        "token_env": TOKEN_ENV,
        "ledger_url": ledger_url,
        "ledger_env": LEDGER_ENV,
    }


def cell_broker(ports: tuple[int, int], token: str) -> ProcessSpec:
    """The broker of the cells: `ports` are API and control. Its market stands still, so that runs can be compared."""
    broker, control = ports
    return ProcessSpec(
        name="cell-broker",
        argv=(
            *(sys.executable, "-m", "gates.rehearsal.broker"),
            *("--port", str(broker), "--control-port", str(control), "--account", ACCOUNT, "--no-feed"),
        ),
        env={"BROKER_TOKEN": token},
    )


def cell_program(defects: Iterable[str] = ()) -> dict[str, Any]:
    """The desk as a target's description says it, with these defects planted. It does not trade by itself, and looks at
    the broker rarely.
    """
    desk = "http://127.0.0.1:{port}"
    planted = (word for name in defects for word in ("--defect", name))
    return {
        "process": {
            "kind": "command",
            "command": (
                *(sys.executable, "-m", "gates.rehearsal.desk", "--port", "{port}"),
                *("--no-trading", "--reconcile-every-s", "3600", "--poll-every-s", CELL_POLL_EVERY_S),
                *planted,
            ),
            "environment": {
                "DATABASE_URL": "{ledger_url}",
                "PGSSLMODE": "disable",  # to a proxy of its own machine: two handshakes at each start protect nothing
                "OANDA_URL": "{broker_url}",
                "OANDA_TOKEN": "{token}",
                "OANDA_ACCOUNT_ID": "{account}",
            },
            "ready": f"{desk}/health",
            "catch_up_s": 0,
        },
        "operations": {
            name: {"post": f"{desk}/operations/{name}"}
            for name in ("open", "close", "partial_fill", "margin_update", "reconcile", "replay")
        },
    }


def cell_target(ledger_url: str) -> dict[str, Any]:
    """The description of a target that is run in cells alone, beside this ledger's databases: nothing answers where it
    says that its own broker and health are.
    """
    program = cell_program()
    return program | {
        "process": program["process"] | {"health": "http://127.0.0.1:9/health"},
        "ledger": {"url": ledger_url, "schema": "wartest"},
        "broker": {"kind": "oanda", "url": "http://127.0.0.1:9", "account": "a", "token": "t"},
    }


def program_of_build() -> tuple[str, ...]:
    """The desk of a build in a cell, as `[prevention] program` would name it: the clean one, or one with a defect."""
    return (*cell_program()["process"]["command"], "--build", "{build}")


def prevention_command() -> tuple[str, ...]:
    """The desk's prevention test, as `[prevention] command` would name it; a test is the name of a defect."""
    return (sys.executable, "-m", "wartest_site.prevention", "{build}", "{test}")


def defect_catalogue() -> list[dict[str, Any]]:
    """What can be planted in the desk with `--defect NAME`, as the target tells it. Raises CalledProcessError."""
    argv = (sys.executable, "-m", "gates.rehearsal.defects")
    told = subprocess.run(argv, check=True, capture_output=True, timeout=CATALOGUE_LIMIT_S)  # noqa: S603  our own
    entries: list[dict[str, Any]] = json.loads(told.stdout)
    return entries
