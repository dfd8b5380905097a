"""The proxy's end of its control socket: one owner, JSON lines, one reply for each command."""

import asyncio
import json
import logging
import os
import resource
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gates.chaos.faults import fault_of
from gates.chaos.faults.fault import whole
from gates.chaos.messages import Direction, Point
from gates.chaos.proxies.events import Decision, Event, Status, shape_of
from gates.chaos.proxies.switchboard import MAXIMUM_ARMED, Armed, Switchboard

log = logging.getLogger("proxy")

LINE_LIMIT_BYTES = 1024 * 1024
UNREAD_LIMIT_BYTES = 64 * 1024 * 1024
MAXIMUM_TIMES = 1_000_000
MAXIMUM_HOLD_MS = 60_000


class Commanding:
    """Carries out what the owner says, and tells the owner what happens. `over` is set when the owner is gone."""

    def __init__(self, buffered_bytes: Callable[[], int]) -> None:
        self.over = asyncio.Event()
        self.owned = asyncio.Event()
        self.board: Switchboard | None = None
        self._buffered_bytes = buffered_bytes
        self._writer: asyncio.StreamWriter | None = None

    async def listen(self, path: Path) -> asyncio.Server:
        """Raises OSError."""
        before = os.umask(0o177)
        try:
            return await asyncio.start_unix_server(self._serve, path, limit=LINE_LIMIT_BYTES)
        finally:
            os.umask(before)

    def tell(self, event: Event) -> None:
        self._write(shape_of(event))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.owned.is_set():
            writer.write(json.dumps({"id": 0, "refused": "This proxy has an owner already"}).encode() + b"\n")
            writer.close()
            return
        self.owned.set()
        self._writer = writer
        with suppress(OSError, ValueError):  # ValueError: a line beyond the limit
            while line := await reader.readline():
                await self._obey(line)
        self._writer = None
        writer.close()
        self.over.set()

    async def _obey(self, line: bytes) -> None:
        number = 0
        try:
            asked = json.loads(line)
            number, command = int(asked.pop("id")), str(asked.pop("command"))
            result = await self._carry_out(command, asked)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            self._write({"id": number, "refused": str(error) or "This is no command"})
        else:
            self._write({"id": number, "result": result})

    async def _carry_out(self, command: str, asked: dict[str, Any]) -> Any:
        board = self.board
        if board is None:
            raise ValueError("The proxy is not ready")
        match command:
            case "reset":
                await board.reset()
            case "recording":
                return board.recording()
            case "arm":
                self._arm(board, **asked)
            case "disarm":
                board.armed.clear()
            case "decide":
                decision = Decision(asked["decision"])
                if not await board.decide(asked["held_id"], decision, dict(asked["proof"])):
                    raise ValueError(f"Nothing is held under the number {asked['held_id']}")
            case "close_upstream":
                return await board.close_servers(asked["connection"])
            case "status":
                return asdict(self._status(board))
            case _:
                raise ValueError(f"There is no command {command!r}")
        return None

    def _arm(
        self,
        board: Switchboard,
        where: str,
        strike: str,
        parameters: dict[str, Any],
        *,
        times: int | None,
        hold_ms: int = 0,
    ) -> None:
        """Raises ValueError."""
        whole(hold_ms, "hold_ms", 0, MAXIMUM_HOLD_MS)
        if len(board.armed) >= MAXIMUM_ARMED:
            raise ValueError(f"{MAXIMUM_ARMED} faults are armed already; disarm first")
        if times is not None and not 1 <= times <= MAXIMUM_TIMES:
            raise ValueError(f"times must be from 1 to {MAXIMUM_TIMES}, or null for always")
        place = Direction(where) if where in set(Direction) else Point.parse(where)
        if isinstance(place, Point) and place.channel is not board.channel:
            raise ValueError(f"This proxy stands before the {board.channel}, not the {place.channel}")
        board.armed.append(Armed(place, fault_of(strike, parameters), times, hold_ms))

    def _status(self, board: Switchboard) -> Status:
        sessions = board.sessions.values()
        return Status(
            clients=sum(not session.client_gone for session in sessions),
            servers=sum(session.servers for session in sessions) + (len(board.pool) if board.pool is not None else 0),
            ghosts=sum(session.ghost for session in sessions),
            tasks=len(board.tasks),
            descriptors=len(list(Path("/proc/self/fd").iterdir())),
            memory_bytes=_memory_bytes(),
            buffered_bytes=self._buffered_bytes(),
            armed=len(board.armed),
            held=board.held,
            recorded=board.recorded,
            unrecorded=board.unrecorded,
        )

    def _write(self, shape: dict[str, Any]) -> None:
        writer = self._writer
        if writer is None or writer.is_closing():
            return
        if writer.transport.get_write_buffer_size() > UNREAD_LIMIT_BYTES:
            log.warning("The owner does not read; the proxy ends")
            self.over.set()
            return
        writer.write(json.dumps(shape).encode() + b"\n")


def _memory_bytes() -> int:
    """What this process has in memory (proc(5), second figure of `statm`)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
