"""Where messages of a benchmark, or a test, arrive: a small web server and a small mail server on loopback.

They note when each message was there in full, and answer at once unless told otherwise.
"""

import asyncio
import email
import json
import re
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from email.policy import default
from typing import Any

LINE_LIMIT_S = 30.0
KEY = re.compile(r"wartest ((?:alert|drill|watch)-[\w-]+)")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Received:
    """One message, as it came. `key` tells it from all others."""

    at: datetime
    key: str
    text: str
    headers: dict[str, str]


@dataclass(slots=True)
class Receiver:
    """What has arrived, oldest first; `answer` is what the web server says next, None for nothing at all."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    answer: bytes | None = OK
    asked: int = 0

    @property
    def keys(self) -> list[str]:
        return [each.key for each in self.received]

    def take(self, text: str, headers: dict[str, str]) -> None:
        found = KEY.search(text)
        self.received.append(Received(datetime.now(UTC), found[1] if found else "", text, headers))


@contextmanager
def web_receiver() -> Iterator[Receiver]:
    """A web server that takes whatever it is sent; `.port` is where."""
    receiver = Receiver()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        receiver.asked += 1
        answer = receiver.answer
        if answer is None:
            await asyncio.sleep(LINE_LIMIT_S)
        else:
            if answer == OK:
                receiver.take(_message_of(body), headers)
            writer.write(answer)
            await writer.drain()

    with _serving(receiver, serve):
        yield receiver


def _message_of(body: bytes) -> str:
    sent: Any = json.loads(body or b"{}")
    return f"{sent.get('title')}\n{sent.get('message')}"


@contextmanager
def mail_receiver() -> Iterator[Receiver]:
    """A mail server that takes every mail; `.port` is where."""
    receiver = Receiver()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 receiver\r\n")
        while line := await asyncio.wait_for(reader.readline(), LINE_LIMIT_S):
            word = line[:4].upper()
            if word == b"DATA":
                writer.write(b"354 go on\r\n")
                text = (await reader.readuntil(b"\r\n.\r\n"))[:-3]
                mail = email.message_from_bytes(text, policy=default)
                receiver.take(_text_of(mail), {name.lower(): str(value) for name, value in mail.items()})
            writer.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            await writer.drain()
            if word == b"QUIT":
                return

    with _serving(receiver, serve):
        yield receiver


def _text_of(mail: Message) -> str:
    parts = [str(part.get_content()) for part in mail.walk() if part.get_content_maintype() == "text"]  # type: ignore[attr-defined]
    return "\n".join([str(mail["subject"]), *parts])


@contextmanager
def _serving(receiver: Receiver, serve: Serve) -> Iterator[None]:
    """Serve on a port of its own, in a loop and thread of its own, for as long as the block runs."""
    loop = asyncio.new_event_loop()
    ready, ended = threading.Event(), asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass  # whoever asked has gone
        finally:
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1024)
        receiver.port = server.sockets[0].getsockname()[1]
        ready.set()
        await ended.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(5)
