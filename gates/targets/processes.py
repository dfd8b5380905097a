"""What is needed to start a process, said as plain data."""

import signal
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ProcessSpec:
    """One process to run: `env` is added to the environment of whoever starts it.

    `user` is the system user it runs as (only root can choose), `stop_signal` asks it to end.
    """

    name: str
    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict, repr=False)
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
