"""Our commands as Chaos Toolkit calls them: run, bounded in time, and told by their exit code and report."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from chaoslib.exceptions import ActivityFailed

ROOT = Path(__file__).parents[3]
VERDICTS = {0: "passed", 1: "failed", 3: "inconclusive"}
KEPT = 2_000  # characters of what a command said


def called(*words: str, limit_s: int) -> dict[str, Any]:
    """Run `manage.py` with these words; its verdict, the report's path and content.

    Raises ActivityFailed where it could not start, or was not over within `limit_s`.
    """
    argv = (sys.executable, str(ROOT / "manage.py"), *words)
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=limit_s, check=False)  # noqa: S603  ours
    except subprocess.TimeoutExpired:
        raise ActivityFailed(f"{words[0]} was not over within {limit_s} s: give a larger limit_s.") from None
    if done.returncode not in VERDICTS:
        raise ActivityFailed(f"{words[0]} could not start: {(done.stderr or done.stdout).strip()[-KEPT:]}")
    lines = done.stdout.strip().splitlines()
    report = Path(lines[-1]) if lines and lines[-1].endswith(".json") else None
    content = json.loads(report.read_text()) if report and report.is_file() else {}
    return {"verdict": VERDICTS[done.returncode], "report": str(report or ""), "content": content}
