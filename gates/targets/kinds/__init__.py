"""How a target's process is controlled: by a command, systemd, Docker, Kubernetes, or the user's own commands."""

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from gates.targets.kinds.command import Command
from gates.targets.kinds.control import Control, ControlError, Killed, Running
from gates.targets.kinds.docker import Docker
from gates.targets.kinds.external import External
from gates.targets.kinds.kubernetes import Kubernetes
from gates.targets.kinds.systemd import Systemd
from gates.targets.pids import pid_of
from gates.targets.programs import START_LIMIT_S, STOP_LIMIT_S, Program

__all__ = ["Control", "ControlError", "Killed", "Running", "control_of"]


def control_of(process: Mapping[str, Any], health_url: str) -> Control:
    """Return the control of the running target, as `[process]` describes it. Raises ControlError for no kind of ours.

    One of the kind "command" is seen and killed here, and started by whoever runs it: its own settings are not ours.
    """
    kind = process.get("kind", "command")
    limits = {
        "start_limit_s": float(process.get("start_limit_s") or START_LIMIT_S),
        "stop_limit_s": float(process.get("stop_limit_s") or STOP_LIMIT_S),
    }
    if kind == "systemd":
        return Systemd(str(process.get("unit")), bool(process.get("user_units")), **limits)
    if kind == "docker":
        return Docker(str(process.get("container")), str(process.get("daemon") or ""), **limits)
    if kind == "kubernetes":
        names = {ours: str(process[theirs]) for theirs, ours in POD.items() if process.get(theirs)}
        return Kubernetes(str(process.get("deployment")), **names, **limits)  # type: ignore[arg-type]
    if kind == "external":
        words = {
            f"{name}_words": tuple(process.get(name) or ()) for name in ("start", "stop", "status", "kill", "logs")
        }
        return External(**words, **limits)  # type: ignore[arg-type]
    if kind != "command":
        raise ControlError(f'[process] kind "{kind}" is unknown: use command, systemd, docker, kubernetes or external.')
    command, folder = tuple(process.get("command") or ("true",)), process.get("folder")
    program = Program(command, {}, health_url, {}, folder, **limits)  # type: ignore[arg-type]
    log = Path(tempfile.gettempdir()) / "wartest-no-log"
    return Command(program, log, find=partial(pid_of, process, health_url))


COMMANDS = ("start", "stop", "status", "kill", "logs")
POD = {"namespace": "namespace", "selector": "selector", "pod_container": "container", "context": "context"}
