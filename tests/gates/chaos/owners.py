"""A proxy process with its owner in a thread, so that tests can block as the target does."""

import asyncio
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from gates.chaos.faults import Fault
from gates.chaos.messages import Channel, Direction, Message, Point, Receipt
from gates.chaos.proxies.events import Decision, Event, Held, Missed, Struck
from gates.chaos.proxies.launching import Proxy, Wire, running_proxy

Result = TypeVar("Result")
E = TypeVar("E", bound=Event)
LIMIT_S = 30.0


class Owner:
    """Drives one proxy. Events are kept in order until they are asked for."""

    def __init__(self, loop: asyncio.AbstractEventLoop, proxy: Proxy) -> None:
        self._loop = loop
        self.proxy = proxy
        self.port = proxy.port
        self.authority = Path()
        self._events: list[Event] = []
        self._came = threading.Condition()
        asyncio.run_coroutine_threadsafe(self._listen(), loop)

    def do(self, asked: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result(LIMIT_S)

    def reset(self) -> None:
        self.do(self.proxy.control.reset())
        with self._came:
            self._events.clear()

    def arm(self, where: Point | Direction, fault: Fault, *, times: int | None = 1, hold_ms: int = 0) -> None:
        self.do(self.proxy.control.arm(where, fault, times=times, hold_ms=hold_ms))

    def decide(self, held: Held, decision: Decision, **proof: Any) -> None:
        self.do(self.proxy.control.decide(held.held_id, decision, **proof))

    def recording(self) -> tuple[Message, ...]:
        return self.do(self.proxy.control.recording())

    def labels(self, direction: Direction) -> list[str]:
        return [message.label for message in self.recording() if message.direction is direction]

    def next(self, kind: type[E], limit_s: float = LIMIT_S) -> E:
        """The next event of that kind; what came before it is dropped."""
        until = time.monotonic() + limit_s
        with self._came:
            while True:
                while self._events:
                    event = self._events.pop(0)
                    if isinstance(event, kind):
                        return event
                    assert not isinstance(event, Missed), event
                assert self._came.wait(until - time.monotonic()), f"no {kind.__name__} came"

    def receipt(self) -> Receipt:
        return self.next(Struck).receipt

    async def _listen(self) -> None:
        async for event in self.proxy.control.events():
            with self._came:
                self._events.append(event)
                self._came.notify_all()


def ledger(direction: Direction, fingerprint: str, occurrence: int = 1) -> Point:
    return Point(Channel.LEDGER, direction, fingerprint, occurrence)


def broker(direction: Direction, fingerprint: str, occurrence: int = 1) -> Point:
    return Point(Channel.BROKER, direction, fingerprint, occurrence)


@contextmanager
def owned_proxy(wire: Wire, upstream: str, *options: str) -> Iterator[Owner]:
    """A proxy for as long as the block runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    running = running_proxy(wire, upstream, *options)
    try:
        proxy = asyncio.run_coroutine_threadsafe(running.__aenter__(), loop).result(LIMIT_S)
        try:
            yield Owner(loop, proxy)
        finally:
            asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result(LIMIT_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(LIMIT_S)
        loop.close()
