"""What a proxy tells its owner unasked, and how JSON carries it."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from gates.chaos.messages import Message, Receipt, Strike


class Decision(StrEnum):
    """What becomes of a held message.

    `discard` says that the target is dead: all it still had on its way is thrown away, on every connection, and the
    servers' sides stay open with nobody behind them until `close_upstream`. A kill has its receipt only where the
    connection of the held message is seen to end with it.
    """

    FORWARD = "forward"
    DISCARD = "discard"


@dataclass(frozen=True)
class Held:
    """A message stands at the proxy until `decide(held_id, …)`; `backend_pid` is the ledger's backend behind it."""

    held_id: int
    strike: Strike
    message: Message
    backend_pid: int | None = None


@dataclass(frozen=True)
class Struck:
    """A fault struck; its proof."""

    receipt: Receipt


@dataclass(frozen=True)
class Missed:
    """A fault met its message without a receipt: it could not be proven, or is not `applicable` to such a message."""

    strike: Strike
    message: Message | None
    reason: str
    applicable: bool = True


@dataclass(frozen=True)
class Refused:
    """PostgreSQL answered a request with an error: its SQLSTATE as seen on the wire."""

    sqlstate: str
    connection: int
    at_s: float


@dataclass(frozen=True)
class Closed:
    """A connection of the target ended; `reason` is empty where it simply hung up."""

    connection: int
    reason: str = ""


Event = Held | Struck | Missed | Refused | Closed


@dataclass(frozen=True)
class Status:
    """What a proxy holds at the moment."""

    clients: int
    servers: int
    ghosts: int
    tasks: int
    descriptors: int
    memory_bytes: int
    buffered_bytes: int
    armed: int
    held: int
    recorded: int
    unrecorded: int


def shape_of(event: Event) -> dict[str, Any]:
    """As JSON carries it, with its kind under `event`."""
    shape: dict[str, Any] = {"event": type(event).__name__.lower()}
    if isinstance(event, Struck):
        receipt = event.receipt
        message = receipt.message.shape() if receipt.message else None
        return shape | {
            "strike": receipt.strike,
            "message": message,
            "at_s": receipt.at_s,
            "proof": dict(receipt.proof),
        }
    if isinstance(event, Held | Missed):
        parts = {name: value for name, value in vars(event).items() if name != "message"}
        return shape | parts | {"message": event.message.shape() if event.message else None}
    return shape | asdict(event)


def event_of(shape: dict[str, Any]) -> Event:
    """The event that `shape_of` gave. Raises ValueError for an unknown kind."""
    parts = dict(shape)
    kind = parts.pop("event", None)
    if parts.get("message") is not None:
        parts["message"] = Message.of(parts["message"])
    if "strike" in parts:
        parts["strike"] = Strike(parts["strike"])
    if kind == "struck":
        return Struck(Receipt(parts["strike"], parts["message"], parts["at_s"], parts["proof"]))
    kinds: dict[str, type[Held | Missed | Refused | Closed]] = {
        "held": Held,
        "missed": Missed,
        "refused": Refused,
        "closed": Closed,
    }
    if kind not in kinds:
        raise ValueError(f"A proxy told of an unknown event {kind!r}")
    return kinds[kind](**parts)
