"""What the cells of one engine share, and what stands on the boundaries of each."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gates.chaos.cells.brokers import Simulator
from gates.chaos.cells.ledgers import LedgerServer
from gates.chaos.cells.ways import listening_place
from gates.chaos.messages import Channel
from gates.chaos.proxies.authority import Authority
from gates.chaos.proxies.launching import Wire
from gates.chaos.timeouts import Timeouts
from gates.targets.programs import Program
from gates.targets.ways import PLAIN, Ways

AUTHORITY = "authority"


@dataclass(frozen=True, slots=True)
class Premises:
    """What the cells of one engine share. `folder` takes logs and sockets; it must be private.

    `allowed_hosts` are ledger servers beside this machine's. An open position has its stop within `protection_limit_s`.
    `timeouts` are the target's own.
    """

    program: Program
    ledgers: LedgerServer
    simulator: Simulator
    folder: Path
    schema: str = "wartest"
    template: str = "template1"
    ways: Ways = PLAIN
    allowed_hosts: tuple[str, ...] = ()
    protection_limit_s: float = 1.0
    timeouts: Timeouts = field(default_factory=Timeouts)

    def patience_ms(self, channel: Channel) -> int:
        """The shortest that the target waits for anything over a channel."""
        told = self.timeouts
        return told.broker_ms if channel is Channel.BROKER else min(told.ledger_ms, told.lock_ms)


def boundaries(premises: Premises, rest_port: int) -> dict[Channel, tuple[Wire, str, *tuple[str, ...]]]:
    """What stands between the target and its servers: of each boundary the wire, the server, and the proxy's options.

    Raises UnsafeError.
    """
    ways, ledgers = premises.ways, premises.ledgers
    authority = Authority.in_folder(premises.folder / AUTHORITY, hosts=ways.hosts)
    shown = ("--certificate", str(authority.issue_into(premises.folder / AUTHORITY / "shown.pem")))
    options = [*(word for host in premises.allowed_hosts for word in ("--allowed-host", host)), *shown]
    ledger: tuple[Wire, str, *tuple[str, ...]] = ("postgres", f"{ledgers.host}:{ledgers.port}", *options)
    if ways.postgrest is not None:
        ledger = ("http", f"127.0.0.1:{rest_port}", "--channel", Channel.LEDGER, "--prefix", ways.postgrest.path)
    names = [word for host in ways.hosts for word in ("--answers-for", host)]
    met = ("--listen", listening_place(ways), *shown, *names)
    return {
        Channel.LEDGER: ledger,
        Channel.BROKER: ("http", urlsplit(premises.simulator.url).netloc, *met),
    }
