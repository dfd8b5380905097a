"""A container, by the Docker Engine's API and its own library (the extra `docker`).

Traps: PID 1 may be a shell that passes no signal on; the number that the program knows of itself is the container's,
not the machine's; a restart policy starts it again by itself; a kill takes some 10 to 100 ms, so its death is awaited.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any

from gates.targets.kinds.control import MOST_LOG_BYTES, MOST_LOG_LINES, ControlError, Killed, Running
from gates.targets.kinds.processes import DEATH_LIMIT_S, wait_until
from gates.targets.words import SHELLS

CALL_LIMIT_S = 15
MISSING = "Docker cannot be spoken to without its library: run `uv sync --extra docker`."


@dataclass(frozen=True, slots=True)
class Docker:
    """Control of one container; `daemon` is the engine's address, else that of the environment (DOCKER_HOST)."""

    container: str
    daemon: str = ""
    start_limit_s: float = 30.0
    stop_limit_s: float = 10.0

    def running(self) -> Running | None:
        """The container's first process, by its number on the machine."""
        with self._opened() as container:
            state = container.attrs["State"]
            if not state.get("Running") or state.get("Paused"):
                return None
            return Running(
                self.container, state.get("Pid") or None, _moment(state.get("StartedAt")), _caution(container)
            )

    def start(self) -> Running:
        """Start it, unless it runs, and wait until it does."""
        with self._opened() as container:
            container.start()
        wait_until(lambda: self.running() is not None, self.start_limit_s, f"{self.container} did not start")
        running = self.running()
        if running is None:
            raise ControlError(f"{self.container} ended as soon as it had started: see docker logs {self.container}.")
        return running

    def stop(self) -> str:
        """Ask it to end; the engine kills it after `stop_limit_s`."""
        began = time.monotonic()
        with self._opened() as container:
            container.stop(timeout=round(self.stop_limit_s))
            container.reload()
            code = container.attrs["State"].get("ExitCode")
        took_s = time.monotonic() - began
        how = "it did not end in time and was killed" if code == 137 else f"it ended with exit code {code}"
        return f"{how}, in {took_s:.1f} s"

    def kill(self) -> Killed:
        """SIGKILL to the container, and wait until the engine says that this life of it is over."""
        began = time.monotonic()
        with self._opened() as container:
            state = container.attrs["State"]
            if not state.get("Running"):
                raise ControlError(f"{self.container} does not run: there is nothing to kill.")
            container.kill(signal="SIGKILL")
            wait_until(lambda: self._is_over(state), DEATH_LIMIT_S, f"{self.container} did not die")
        took_s = round(time.monotonic() - began, 3)
        return Killed(self.container, state.get("Pid"), took_s, exact=True, words="SIGKILL to the container")

    def _is_over(self, state: dict[str, Any]) -> bool:
        """A restart policy may have begun its next life already."""
        with self._opened() as container:
            now = container.attrs["State"]
        return not now.get("Running") or now.get("StartedAt") != state.get("StartedAt")

    def logs(self) -> str:
        """The container's last lines."""
        with self._opened() as container:
            found: bytes = container.logs(tail=MOST_LOG_LINES)
        return found[-MOST_LOG_BYTES:].decode(errors="replace")

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        """The container as the engine shows it now."""
        try:
            import docker  # noqa: PLC0415  an extra
            from docker.errors import DockerException, NotFound  # noqa: PLC0415
            from requests import RequestException  # noqa: PLC0415  which docker needs
        except ImportError:
            raise ControlError(MISSING) from None
        try:
            client = (
                docker.DockerClient(base_url=self.daemon, timeout=CALL_LIMIT_S + round(self.stop_limit_s))
                if self.daemon
                else docker.from_env(timeout=CALL_LIMIT_S + round(self.stop_limit_s))
            )
        except DockerException as error:
            raise ControlError(f"Docker does not answer ({error}): start it, or correct [process] daemon.") from None
        try:
            yield client.containers.get(self.container)
        except NotFound:
            raise ControlError(f"Docker knows no container {self.container}: correct [process] container.") from None
        except (DockerException, RequestException) as error:
            raise ControlError(f"Docker refused for {self.container}: {error}.") from None
        finally:
            client.close()


def _caution(container: Any) -> str:
    """What may go wrong with this container's kills and stops, in words."""
    told = []
    if PurePath(str(container.attrs.get("Path") or "")).name in SHELLS:
        told.append("its first process is a shell, which passes no signal on: use the exec form of CMD")
    policy = ((container.attrs.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name") or "no"
    if policy != "no":
        told.append(f"its restart policy is {policy}: the engine may start it again by itself")
    return "; ".join(told)


def _moment(text: object) -> datetime | None:
    """The engine tells nanoseconds; Python keeps microseconds of them."""
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
