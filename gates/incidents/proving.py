"""Running prevention tests: each in a process of its own, bounded in time and output. Called by every tick."""

import logging
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

from django.db.models import Q
from django.utils import timezone

from audits.verdicts import Verdict
from gates.incidents.prevention import limit_s
from gates.incidents.repeating import repeat, wanted_of
from gates.models import Proof

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
AT_ONCE = 2
MOST_OUTPUT = 64 * 1024  # the end of what it said: there it says why
STARTING = timedelta(seconds=30)
VERDICTS = {0: Verdict.PASSED, 1: Verdict.FAILED}


def attend(now: datetime) -> None:
    """Start a process for each proof that waits; end as inconclusive what nobody works on any more."""
    over = Proof.objects.filter(state=Proof.State.RUNNING, lease_until__lt=now)
    over.update(
        state=Proof.State.DONE,
        verdict=Verdict.INCONCLUSIVE,
        ended_at=now,
        output="The process that ran this test died, or did not end within its limit: run it again.",
    )
    for proof in Proof.objects.filter(state=Proof.State.WAITING).order_by("pk")[:AT_ONCE]:
        if not _claim(proof, now):
            continue
        try:
            argv = (sys.executable, "-m", "gates.incidents", str(proof.pk))
            subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL)  # noqa: S603  argv is ours
        except OSError:
            log.exception("proof %s could not be started; its lease runs out", proof.pk)


def _claim(proof: Proof, now: datetime) -> bool:
    """On the proof's own columns only, so that of two ticks one starts it."""
    limit = timedelta(seconds=limit_s(proof.incident.campaign.target.spec))
    return bool(
        Proof.objects.filter(Q(state=Proof.State.WAITING), pk=proof.pk).update(
            state=Proof.State.RUNNING, started_at=now, lease_until=now + limit + STARTING
        )
    )


def prove(proof_id: int) -> None:
    """Run the test of a claimed proof to its end or its limit, and keep what it said and how it ended."""
    proof = Proof.objects.select_related("incident__campaign__target", "crash_point__first").get(pk=proof_id)
    if proof.state != Proof.State.RUNNING:
        return
    came_to = _struck(proof) if proof.crash_point_id else _commanded(proof)
    Proof.objects.filter(pk=proof_id, state=Proof.State.RUNNING).update(
        state=Proof.State.DONE, ended_at=timezone.now(), **came_to
    )


def _commanded(proof: Proof) -> dict[str, Any]:
    """Run the description's command; what the proof's row then says."""
    with tempfile.TemporaryFile() as out:
        code, trouble = _run(proof, out, limit_s(proof.incident.campaign.target.spec))
        said = _end_of(out)
    verdict = VERDICTS.get(code, Verdict.INCONCLUSIVE) if code is not None else Verdict.INCONCLUSIVE
    return {"verdict": verdict, "exit_code": code, "output": f"{said}\n{trouble}".strip() if trouble else said}


def _struck(proof: Proof) -> dict[str, Any]:
    """Strike at the proof's crash point; what its row then says."""
    campaign = proof.incident.campaign
    assert proof.crash_point is not None  # noqa: S101  the caller looked
    wanted = wanted_of(proof.crash_point, as_then=proof.build == campaign.build)
    found = repeat(campaign.target.spec, proof.build, wanted, limit_s(campaign.target.spec))
    output = found.words.replace("\0", "")[:MOST_OUTPUT]
    return {"verdict": found.verdict, "output": output, "receipt": found.receipt, "findings": list(found.findings)}


def _run(proof: Proof, out: IO[bytes], limit: float) -> tuple[int | None, str]:
    """Return exit code, or None and why there is none. Its whole process group ends with it."""
    env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    env |= {name: value for name, value in os.environ.items() if name.startswith("WARTEST_REHEARSAL")}
    env["WARTEST_BUILD"] = proof.build
    try:
        process = subprocess.Popen(  # noqa: S603  argv is the target description's, a list without a shell
            proof.argv, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    except OSError as error:
        return None, f"The test could not be started: {error.strerror or error}."
    try:
        return process.wait(limit), ""
    except subprocess.TimeoutExpired:
        return None, f"The test did not end within {limit:.0f} s and was ended."
    finally:
        _end_group(process)


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def _end_of(out: IO[bytes]) -> str:
    size = out.seek(0, os.SEEK_END)
    out.seek(max(0, size - MOST_OUTPUT))
    return out.read(MOST_OUTPUT).decode("utf-8", "replace").replace("\0", "").strip()
