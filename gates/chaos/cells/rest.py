"""A cell's PostgREST: the user's own, started before the cell's books, which the program reaches through the proxy.

```
target's process ──HTTP──► proxy ──► PostgREST ──PostgreSQL──► ledger database of the cell's own
```

It is the books' server, not the target: it lives on when the target is killed, and is started anew with each database.
"""

import asyncio
import os
import time
from pathlib import Path

import httpx

from gates.chaos.cells.hiding import hidden, password_of
from gates.chaos.cells.processes import OwnedProcess
from gates.chaos.cells.target import PASSED_ON, TargetNotReadyError
from gates.targets.ways import RestServer

PAUSE_S = 0.05
PROBE_TIMEOUT_S = 5.0
STOP_LIMIT_S = 2.0


class CellRest:
    """At most one process of it runs at a time, on one database."""

    def __init__(self, server: RestServer, port: int, log: Path) -> None:
        self.server = server
        self.port = port
        self._log = log
        self._process: OwnedProcess | None = None
        self._ledger_url = ""

    async def serve(self, ledger_url: str) -> None:
        """See that it runs on this database and answers. Raises TargetNotReadyError."""
        if self._process is not None and self._process.alive and self._ledger_url == ledger_url:
            return
        await self.end()
        filled = self.server.filled({"ledger_url": ledger_url, "port": str(self.port)})
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ} | dict(filled.environment)
        try:
            self._process = OwnedProcess.start(filled.command, env=environment, log=self._log, cwd=filled.folder)
        except OSError as error:
            raise TargetNotReadyError(f"[chaos.postgrest] {filled.command[0]}: {error.strerror}") from error
        self._ledger_url = ledger_url
        await self._answering(filled.ready)

    async def _answering(self, ready: str) -> None:
        ends = time.monotonic() + self.server.start_limit_s
        async with httpx.AsyncClient(trust_env=False, timeout=PROBE_TIMEOUT_S) as client:
            while time.monotonic() < ends:
                if self._process is None or not self._process.alive:
                    raise TargetNotReadyError(f"[chaos.postgrest] has ended: {self._last_words()}")
                try:
                    if (await client.get(ready)).is_success:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(PAUSE_S)
        limit_s = self.server.start_limit_s
        raise TargetNotReadyError(f"[chaos.postgrest] did not answer 2xx at {ready} within {limit_s:g} s.")

    async def end(self) -> None:
        """End it: a database that is copied or dropped must have no session."""
        process, self._process = self._process, None
        if process is not None:
            await process.end(STOP_LIMIT_S)
            process.close()

    def _last_words(self) -> str:
        try:
            secrets = (*self.server.secrets, password_of(self._ledger_url))
            return hidden(self._log.read_text(errors="replace"), secrets)[-400:].strip() or "nothing was logged"
        except OSError:
            return "nothing was logged"
