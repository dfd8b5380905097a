"""Start a proxy as a process of its own, and own it."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gates.chaos.proxies.control import Control, ProxyGoneError

Wire = Literal["postgres", "http"]
READY = "ready"
START_LIMIT_S = 20.0
STOP_LIMIT_S = 5.0


@dataclass(frozen=True)
class Proxy:
    """A running proxy: where the target connects to, and its control."""

    host: str
    port: int
    control: Control
    process: asyncio.subprocess.Process


@asynccontextmanager
async def running_proxy(wire: Wire, upstream: str, *options: str, folder: Path | None = None) -> AsyncIterator[Proxy]:
    """A proxy in front of `upstream` (host:port) on a free port for as long as the block runs.

    `options` go to its command line (see `--help`). Its standard error is ours. Raises ProxyGoneError where it does
    not start.
    """
    with tempfile.TemporaryDirectory(prefix="wartest-proxy-", dir=folder) as home:
        path = Path(home) / "control"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", f"gates.chaos.proxies.{wire}", "--listen", "127.0.0.1:0"),
            *("--upstream", upstream, "--control", str(path), *options),
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        try:
            host, port = await _ready(process)
            control = await Control.connect(path)
            try:
                yield Proxy(host, port, control, process)
            finally:
                await control.close()
        finally:
            await _end(process)


async def _ready(process: asyncio.subprocess.Process) -> tuple[str, int]:
    assert process.stdout is not None  # noqa: S101  PIPE was asked for
    try:
        async with asyncio.timeout(START_LIMIT_S):
            line = (await process.stdout.readline()).decode().split()
    except TimeoutError:
        raise ProxyGoneError(f"The proxy did not start within {START_LIMIT_S:.0f} s") from None
    if len(line) != 2 or line[0] != READY:
        raise ProxyGoneError("The proxy did not start; its standard error says why")
    host, _, port = line[1].rpartition(":")
    return host, int(port)


async def _end(process: asyncio.subprocess.Process) -> None:
    """It ends by itself when its owner goes; SIGTERM and SIGKILL make sure."""
    for ask in (None, signal.SIGTERM, signal.SIGKILL):
        if ask is not None and process.returncode is None:
            process.send_signal(ask)
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                await process.wait()
        except TimeoutError:
            continue
        return
