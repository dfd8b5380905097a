"""A recovery that only pauses is not over."""

import asyncio
import time
from types import SimpleNamespace

from gates.chaos import settling


def test_a_target_that_works_again_while_it_should_rest_is_waited_for(monkeypatch):
    looks = ["", "", "1 orders in doubt", "1 orders in doubt", "", "", ""]

    async def unsettled(_cell, _since):
        return looks.pop(0)

    async def well():
        return ""

    monkeypatch.setattr(settling, "unsettled", unsettled)
    monkeypatch.setattr(settling, "REST_S", 0.0)
    cell = SimpleNamespace(target=SimpleNamespace(unwell=well))
    asyncio.run(settling.rested(cell, time.monotonic() + 60))
    assert looks == []
