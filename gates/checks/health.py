"""Health: the target answers, is the same process as at the start, and how hard it works."""

import json
import math
import time
from typing import Any

import httpx
import psutil

from audits.findings import Finding, Level
from audits.sources.tls import trusted
from gates.checks.outcome import Outcome, inconclusive, judged
from gates.checks.processes import started_ticks
from gates.checks.untold import untold
from gates.targets.access import Access
from gates.targets.pids import is_told_here

TIMEOUT_S = 5.0
BODY_LIMIT = 64 * 1024
TEXT_LIMIT = 300
IDENTITY = ("pid", "started_ticks", "build")
MAY_TELL = ("configuration",)  # compared where the target tells it: a fingerprint of its settings
NUMBERS = ("pid", "database_ms", "broker_ms", "open_positions")
CONTAINED = ("docker", "kubernetes")  # where the number that a process knows of itself is not this machine's
TEXTS = ("status", "reason", "build", "configuration")
ELSEWHERE = (
    "The process number that it tells is not that of whoever listens at its health address on this machine: add "
    "[process] pid_file, or describe what runs it (systemd, docker, external)."
)
NO_HEALTH = "The target's description lacks [process] health: add it."


def observe(access: Access) -> dict[str, Any]:
    """Ask the target how it is and look at its process.

    Returns the health answer's `pid`, `build`, `database_ms`, `broker_ms`, … with `status_code`, `answer_ms`, and of
    the process `started_ticks` (which tell it apart), `created_at` (epoch s), `cpu_s`, `memory_mib`, `threads`,
    `handles`; or `error` in words. What the answer does not tell is looked for as the description says. A number that
    is no process of the target's on this machine, because it runs on another or in a container, is `pid_elsewhere`.
    """
    seen = _told(access)
    if "pid" in seen and not is_told_here(seen["pid"], access.health_url):
        seen["pid_elsewhere"] = seen.pop("pid")
    seen = untold(seen, access) | seen
    if "pid_elsewhere" in seen and "pid" not in seen:
        seen["trouble"] = f"{seen.get('trouble', '')} {ELSEWHERE}".strip()
    return seen if "error" in seen else seen | _process(seen.get("pid"))


def _told(access: Access) -> dict[str, Any]:
    """What the target says of itself, or `error`."""
    if not access.health_url:
        return {"error": NO_HEALTH}
    began = time.monotonic()
    by_code = access.process.get("health_by") == "status code"
    try:
        status_code, content = _answer(access.health_url)
        body = {} if by_code else json.loads(content)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return {"error": f"The target does not answer at its health address ({type(error).__name__})."}
    except ValueError:
        return {"error": "The target's health address answers something that is not JSON, or more than 64 KiB of it."}
    if not isinstance(body, dict):
        return {"error": "The target's health address answers no JSON object."}
    seen: dict[str, Any] = {key: body[key] for key in NUMBERS if _is_number(body.get(key))}
    if access.process.get("kind") in CONTAINED:
        seen.pop("pid", None)
    seen |= {key: text for key in TEXTS if (text := _text(body.get(key)))}
    if by_code:
        seen["status"] = "ok" if status_code == httpx.codes.OK else f"answers {status_code}"
    answer_ms = round((time.monotonic() - began) * 1000, 1)
    return seen | {"status_code": status_code, "answer_ms": answer_ms}


def _answer(url: str) -> tuple[int, bytes]:
    """Return status and body, cut where it grows beyond what health may say. Raises httpx.HTTPError, InvalidURL."""
    ends = time.monotonic() + TIMEOUT_S
    # trust_env=False: a proxy in the environment is not the target.
    with httpx.stream("GET", url, timeout=TIMEOUT_S, trust_env=False, verify=trusted()) as answer:
        content = b""
        for part in answer.iter_bytes():
            content += part
            if len(content) > BODY_LIMIT:
                return answer.status_code, b""
            if time.monotonic() > ends:
                raise httpx.ReadTimeout("the answer never ended")
        return answer.status_code, content


def _is_number(value: object) -> bool:
    """Whether the target gave a number: NaN, infinity and true say nothing."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _text(value: object) -> str:
    return "" if value is None else str(value).replace("\0", "").strip()[:TEXT_LIMIT]


def _process(pid: object) -> dict[str, Any]:
    """Look at a process of this machine: identity and resources, or nothing when it cannot be seen from here."""
    if not isinstance(pid, int):
        return {}
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            cpu = process.cpu_times()
            return {
                "started_ticks": started_ticks(process),
                "created_at": process.create_time(),
                "cpu_s": round(cpu.user + cpu.system, 2),
                "memory_mib": round(process.memory_info().rss / 2**20, 1),
                "threads": process.num_threads(),
                "handles": process.num_fds() if hasattr(process, "num_fds") else process.num_handles(),
            }
    except psutil.Error:
        return {}


def judge(seen: dict[str, Any], baseline: dict[str, Any]) -> Outcome:
    """Compare what was seen with the process that the run started with.

    `baseline` holds `pid`, `started_ticks`, `build` and, where it was told, `configuration` of the start. A target that
    does not answer, answers unhealthy, is another process or another build, or has other settings is a critical
    finding; what cannot be seen is inconclusive, and so are settings that it told then and tells no more.
    """
    if "error" in seen:
        return judged((_critical("target does not answer", str(seen["error"]), "an answer", "none"),), seen)
    findings = []
    if seen["status_code"] != 200 or seen.get("status") != "ok":
        words = f"The target says that it is not well: {seen.get('reason') or seen.get('status') or 'no reason'}."
        findings.append(_critical("target unhealthy", words, "200 ok", f"{seen['status_code']} {seen.get('status')}"))
    for key in (*IDENTITY, *MAY_TELL):
        rule = f"another {key}" if key in ("build", *MAY_TELL) else "another process"
        if key in baseline and key in seen and seen[key] != baseline[key]:
            sentence = f"The target is not what the run started with: its {key} changed."
            findings.append(_critical(rule, sentence, str(baseline[key]), str(seen[key])))
    if findings:
        return judged(tuple(findings), seen)
    needed = (*IDENTITY, *(key for key in MAY_TELL if key in baseline), "cpu_s", "database_ms", "broker_ms")
    missing = [key for key in needed if seen.get(key) is None]
    if missing:
        why = f" {seen['trouble']}" if seen.get("trouble") else ""
        return inconclusive(
            f"The target's health does not show {', '.join(missing)}: nothing proves them.{why}", **seen
        )
    unknown = [key for key in IDENTITY if key not in baseline]
    if unknown:
        words = f"The run started without knowing the target's {', '.join(unknown)}: nothing proves it is the same."
        return inconclusive(words, **seen)
    return judged((), seen)


def no_longer_told(seen: dict[str, Any], baseline: dict[str, Any]) -> tuple[str, ...]:
    """Return what was known of the target at the start of the run and is not seen now: it may be another."""
    return tuple(key for key in (*IDENTITY, *MAY_TELL) if key in baseline and seen.get(key) is None)


def _critical(rule: str, sentence: str, expected: str, measured: str) -> Finding:
    return Finding(rule, Level.CRITICAL, sentence, expected, measured)
