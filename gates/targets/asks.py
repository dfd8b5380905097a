"""How a target is asked for one operation: by HTTP, by a command, by a row for its queue, or by waiting for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gates.targets.secrets import TargetUnreachableError
from gates.targets.words import command_words

OPERATIONS = ("open", "close", "partial_fill", "margin_update", "reconcile", "replay")
LIMIT_S = 40.0


@dataclass(frozen=True, slots=True)
class Ask:
    """One way to ask, by exactly one of `post`, `command`, `queue` and `wait`; `limit_s` is how long it may take.

    `post` takes a JSON `body` and answers 2xx once it is done. `command` exits with 0 then. `queue` is an INSERT into
    the target's ledger. Of it and of `wait`, `done` is a SELECT of one value: true once it is done, or anything else
    that is no longer what it was when it was asked. It may hold `%(asked)s`, the first value that the INSERT returns.
    """

    post: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    queue: str = ""
    done: str = ""
    limit_s: float = LIMIT_S

    def filled(self, fill: Callable[[str], str]) -> "Ask":
        """The same with every place filled in."""
        return replace(self, post=fill(self.post), command=tuple(map(fill, self.command)))

    @property
    def texts(self) -> tuple[str, ...]:
        """What names addresses."""
        return (self.post, *self.command)


def read_ask(name: str, told: object) -> Ask:
    """Read one line of `[operations]`. Raises TargetUnreachableError."""
    if name not in OPERATIONS:
        raise TargetUnreachableError(f"[operations] {name} is unknown: choose of {', '.join(OPERATIONS)}.")
    if not isinstance(told, Mapping):
        raise TargetUnreachableError(f'[operations] {name} needs an address: {name} = {{ post = "http://…" }}.')
    limit_s = float(told.get("limit_s") or LIMIT_S)
    done = str(told.get("done") or "")
    if told.get("command"):
        try:
            return Ask(command=tuple(command_words(told["command"])), limit_s=limit_s)
        except ValueError as error:
            raise TargetUnreachableError(f"[operations] {name}: {error}.") from None
    if told.get("queue") or told.get("wait"):
        if not done:
            raise TargetUnreachableError(f"[operations] {name} needs done, a SELECT that tells when it is.")
        return Ask(queue=str(told.get("queue") or ""), done=done, limit_s=limit_s)
    if not isinstance(told.get("post"), str):
        raise TargetUnreachableError(f'[operations] {name} needs an address: {name} = {{ post = "http://…" }}.')
    return Ask(post=told["post"], body=dict(told.get("body") or {}), limit_s=limit_s)
