"""Each poll of the broker leaves something behind that is never given back.

Origin: hand-made; a dead-man's switch sees nothing of it until the process is out of memory (freqtrade#9675).
Caught by gate 1: memory whose floor rises again and again.
"""

from gates.rehearsal.defects.defect import Defect, Replacement, watch
from gates.rehearsal.desk.desk import Desk

KEPT_BYTES = 2 * 1024 * 1024
poll = Desk._poll
kept: list[bytes] = []


async def _poll(desk: Desk) -> None:
    kept.append(b"x" * KEPT_BYTES)
    await poll(desk)


DEFECT = Defect(
    name="slow-leak",
    title="A slow leak",
    gate=1,
    rules=("resources grow without end",),
    replaces=(Replacement(Desk, "_poll", _poll),),
    steps=(watch(30),),
)
