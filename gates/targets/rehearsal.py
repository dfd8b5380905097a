"""The bundled target: how its two processes are started, and how the portal reaches them.

The only module outside `gates.rehearsal` that knows it is there; it starts it and never imports it.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from gates.targets.processes import ProcessSpec

ACCOUNT = "101-001-0000001-001"
TOKEN_ENV = "WARTEST_REHEARSAL_TOKEN"  # noqa: S105 - the name of a variable
LEDGER_ENV = "WARTEST_REHEARSAL_LEDGER_URL"


@dataclass(frozen=True)
class RehearsalPorts:
    """Loopback ports: the broker's API, its control API, the desk."""

    broker: int
    control: int
    desk: int


def rehearsal_processes(home: Path, ports: RehearsalPorts, desk_database_url: str, token: str) -> list[ProcessSpec]:
    """The broker, then the desk. The broker keeps its journal in `home`, so that both survive a kill together."""
    journal = home / "broker"
    journal.mkdir(parents=True, exist_ok=True)
    broker = ProcessSpec(
        name="broker",
        argv=(
            *(sys.executable, "-m", "gates.rehearsal.broker"),
            *("--port", str(ports.broker), "--control-port", str(ports.control)),
            *("--account", ACCOUNT, "--journal", str(journal)),
        ),
        env={"BROKER_TOKEN": token},
    )
    desk = ProcessSpec(
        name="desk",
        argv=(sys.executable, "-m", "gates.rehearsal.desk", "--port", str(ports.desk)),
        env={
            "DATABASE_URL": desk_database_url,
            "OANDA_URL": f"http://127.0.0.1:{ports.broker}",
            "OANDA_TOKEN": token,
            "OANDA_ACCOUNT_ID": ACCOUNT,
        },
    )
    return [broker, desk]


def rehearsal_description(ports: RehearsalPorts, ledger_url: str) -> dict[str, str]:
    """What the portal needs to register the target; `*_env` name the variables that hold its secrets."""
    return {
        "broker_url": f"http://127.0.0.1:{ports.broker}",
        "control_url": f"http://127.0.0.1:{ports.control}",
        "desk_url": f"http://127.0.0.1:{ports.desk}",
        "account": ACCOUNT,
        "token_env": TOKEN_ENV,
        "ledger_url": ledger_url,
        "ledger_env": LEDGER_ENV,
    }
