"""The running target: does it say how it is, which process and which build it is?"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from audits.verdicts import Verdict
from gates.checks import health
from gates.targets.access import Access
from gates.targets.kinds.kubernetes import UNSEEN
from gates.targets.preflight.need import Need, first_line

GROUP = "running target"
MENDING = {
    "pid": "tell pid in the health answer, or add [process] pid_file",
    "started_ticks": "run the portal as a user that can see the process, on its machine",
    "cpu_s": "run the portal as a user that can see the process, on its machine",
    "build": 'add build to the description, as build = { command = ["git", "rev-parse", "HEAD"] }',
    "database_ms": "tell database_ms in the health answer, or let the portal read the ledger",
    "broker_ms": "tell broker_ms in the health answer, or let the portal read the account",
}


def running(access: Access) -> Iterator[Need]:
    """Look at the running target as gate 1 will, each minute, for 72 hours."""
    if not access.health_url:
        words = "add [process] health, the address at which it says how it is: gates 1 and 4 watch it there"
        yield Need(GROUP, "health", False, words)
        return
    seen = health.observe(access)
    if "error" in seen:
        words = f"{first_line(ValueError(seen['error']))} at {access.health_url}: start it, or correct [process] health"
        yield Need(GROUP, "health", False, words)
        return
    yield _well(seen)
    yield Need(GROUP, "process", False, UNSEEN) if access.process.get("kind") == "kubernetes" else _process(seen)
    yield _build(seen)
    yield from (Need(GROUP, name, False, f"not seen: {MENDING[name]}") for name in _unseen(seen))


def _well(seen: dict[str, Any]) -> Need:
    if seen["status_code"] == 200 and seen.get("status") == "ok":
        return Need(GROUP, "health", True, f"ok, answered in {seen['answer_ms']:.0f} ms")
    said = seen.get("reason") or seen.get("status") or "no status"
    words = f"answers {seen['status_code']}, {said}: it must be 200 with status ok; see its log"
    return Need(GROUP, "health", False, words)


def _process(seen: dict[str, Any]) -> Need:
    if seen.get("pid") is None:
        words = health.ELSEWHERE if "pid_elsewhere" in seen else f"not seen: {MENDING['pid']}"
        return Need(GROUP, "process", False, words)
    if seen.get("started_ticks") is None:
        return Need(GROUP, "process", False, f"{seen['pid']:.0f} cannot be looked at: {MENDING['started_ticks']}")
    since = datetime.fromtimestamp(seen["created_at"], UTC)
    words = f"{seen['pid']:.0f}, since {since:%Y-%m-%d %H:%M:%S} UTC, {seen['memory_mib']:.0f} MiB"
    return Need(GROUP, "process", True, words)


def _build(seen: dict[str, Any]) -> Need:
    if seen.get("build"):
        return Need(GROUP, "build", True, str(seen["build"])[:80])
    return Need(GROUP, "build", False, f"{seen.get('trouble') or 'not told'}".rstrip(".") + f": {MENDING['build']}")


def _unseen(seen: dict[str, Any]) -> list[str]:
    """What gate 1 needs beside those above."""
    if health.judge(seen, seen).verdict == Verdict.PASSED:
        return []
    return [name for name in ("database_ms", "broker_ms") if seen.get(name) is None]
