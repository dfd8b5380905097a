"""`python -m wartest_site.prevention BUILD DEFECT`: the bundled desk's prevention test, for rehearsals of incidents.

It starts the desk of this build, clean or with this defect of the catalogue, on a server of its own, takes it through
the defect's steps, and looks for what the defect must be found by. Exit 0: not found. 1: found. 3: the desk of this
build could not be shown.
"""

import subprocess
import sys

from gates.detection.catalogue import Planted, UnknownDefectError, catalogue, named
from gates.detection.ground import Ground
from gates.detection.rehearsing import UNCARRIED, judged_after
from wartest_site.embedded.children import CannotStartError
from wartest_site.rehearsal import own_places, own_server

PASSED, FAILED, INCONCLUSIVE = 0, 1, 3


def main(build: str, name: str) -> int:
    """Return the exit code, and say in a line what was seen."""
    try:
        defect = named(catalogue(), name)
        with own_server() as server, own_places(server, 1, grounds=True) as (place,):
            if place.ground is None:
                return _say(INCONCLUSIVE, "There is no ground to rehearse on.")
            return _judge(place.ground, defect, build)
    except (UnknownDefectError, CannotStartError, OSError, subprocess.SubprocessError, *UNCARRIED) as error:
        return _say(INCONCLUSIVE, f"{type(error).__name__}: {error}")


def _judge(ground: Ground, defect: Planted, build: str) -> int:
    for defects in ((), (defect.name,)):
        if _build_of(ground, defects) == build:
            seen = judged_after(ground, defects, defect.steps, trading=defect.trades)
            found = {finding.rule for finding in seen.findings} & set(defect.by_hand)
            if found:
                return _say(FAILED, f"Found on {build}: {', '.join(sorted(found))}.")
            return _say(INCONCLUSIVE if seen.silent else PASSED, "; ".join(seen.silent) or f"Not found on {build}.")
    return _say(INCONCLUSIVE, f"No desk here is the build {build}.")


def _build_of(ground: Ground, defects: tuple[str, ...]) -> str:
    with ground.desk(defects, trading=False) as desk:
        answer = desk.health()
        return str(answer.json().get("build")) if answer is not None else ""


def _say(code: int, words: str) -> int:
    sys.stdout.write(f"{words}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
