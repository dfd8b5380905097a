"""Asking a target in a cell for an operation, other than by HTTP: by a command, a row of its queue, or by waiting.

The row is written and looked for past the proxies, so that nothing of ours is among the target's messages.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

from gates.targets.asks import Ask

PAUSE_S = 0.05
CONNECT_TIMEOUT_S = 5
DONE, FAILED = 200, 500
DONE_BEFORE = "its done was true before the target began"
Told = tuple[int | None, dict[str, Any]]


async def by_command(ask: Ask, env: Mapping[str, str], log: Path, cwd: str | None) -> Told:
    """Run the command in a process group of its own, its output in `log`.

    One that a signal ends says nothing, nor one that does not end in time.
    """
    with log.open("ab") as output:
        try:
            process = await asyncio.create_subprocess_exec(
                *ask.command,
                env=dict(env),
                cwd=cwd,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            return None, {"error": f"{ask.command[0]} could not be started: {error.strerror}"}
    try:
        async with asyncio.timeout(ask.limit_s):
            code = await process.wait()
    except TimeoutError:
        return None, {"error": f"{ask.command[0]} did not end within {ask.limit_s:g} s"}
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    if code < 0:
        return None, {"error": f"{ask.command[0]} was ended by signal {-code}"}
    return (DONE, {}) if code == 0 else (FAILED, {"error": f"{ask.command[0]} ended with exit code {code}"})


async def by_ledger(ask: Ask, ledger_url: str, alive: Callable[[], bool]) -> Told:
    """Write the row, if there is one, and look until it is done; no answer where the target ends or time does, nor of
    what it does by itself where `done` was true before.
    """
    ends = time.monotonic() + ask.limit_s
    try:
        async with await psycopg.AsyncConnection.connect(
            ledger_url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S
        ) as connection:
            before = await _value(connection, ask.done, None) if "%(asked)s" not in ask.done else None
            if before is True and not ask.queue:
                return None, {"error": f"{DONE_BEFORE}: let it be false until then, or count"}
            asked = await _value(connection, ask.queue, None) if ask.queue else None
            while time.monotonic() < ends:
                now = await _value(connection, ask.done, asked)
                if now is True or (not isinstance(now, bool) and now != before):
                    return DONE, {}
                if not alive():
                    return None, {"error": "the target ended before it was done"}
                await asyncio.sleep(PAUSE_S)
    except psycopg.Error as error:
        return None, {"error": f"the ledger refused: {str(error).strip().splitlines()[0]}"}
    return None, {"error": f"it was not done within {ask.limit_s:g} s"}


async def _value(connection: psycopg.AsyncConnection[Any], statement: str, asked: object) -> object:
    """The first value of the statement's first row, None where it has none."""
    parameters = {"asked": asked} if "%(asked)s" in statement else None
    found = await connection.execute(statement.encode(), parameters)
    row = await found.fetchone() if found.description else None
    return row[0] if row else None
