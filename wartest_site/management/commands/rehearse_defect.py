"""The war test tested: plant a defect in the desk, and show which gate catches it, and by what."""

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen, SubprocessError
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from gates.detection.catalogue import Planted, UnknownDefectError, catalogue, named
from gates.detection.ground import Ground, GroundError
from gates.detection.rehearsing import Judged, Outcome, Rehearsed, rehearse_by_hand, rehearse_clean
from gates.detection.reporting import report
from gates.detection.striking import UNCARRIED, strike_clean, strike_until_caught
from gates.detection.sweeping import sweep
from gates.targets.processes import ProcessSpec
from wartest_site.embedded.children import CannotStartError, free_port, start_child
from wartest_site.embedded.postgres import PostgresServer, running_postgres
from wartest_site.environment import BASE_DIR

CHAOS = 2
PASSED, FAILED, CANNOT_START, INCONCLUSIVE = 0, 1, 2, 3


class Command(BaseCommand):
    help = "Plant a defect in the bundled desk and show which gate catches it, for which reason."

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("name", nargs="?", help="the defect's name")
        which.add_argument("--all", action="store_true", help="every defect, one after the other")
        which.add_argument("--list", action="store_true", help="show the catalogue, rehearse nothing")
        parser.add_argument("--at-once", type=int, default=2, help="how many at the same time, 1 to 8 (default: 2)")
        parser.add_argument("--reports-dir", default="reports", help="folder for the report")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            defects = catalogue()
            if options["list"]:
                self._list(defects)
                return
            chosen = defects if options["all"] else (named(defects, options["name"]),)
            code = self._rehearse(chosen, at_once=_at_once(options), reports=Path(options["reports_dir"]))
        except (UnknownDefectError, CannotStartError, GroundError, SubprocessError, *UNCARRIED) as error:
            self.stderr.write(str(error))
            sys.exit(CANNOT_START)
        sys.exit(code)

    def _list(self, defects: Iterable[Planted]) -> None:
        for defect in defects:
            self.stdout.write(f"gate {defect.gate}  {defect.name:30} {defect.title} ({defect.origin or 'hand-made'})")

    def _rehearse(self, defects: tuple[Planted, ...], *, at_once: int, reports: Path) -> int:
        """Rehearse them, then the clean desk in the same places; the last line names the report file."""
        started_at = datetime.now(UTC)
        by_hand = [defect for defect in defects if defect.gate != CHAOS]
        struck = [defect for defect in defects if defect.gate == CHAOS]
        results = []
        with _server() as server:
            with _grounds(server, min(at_once, len(defects))) as grounds:
                for result in sweep(grounds, by_hand, rehearse_by_hand):
                    results.append(self._said(result))
                clean = rehearse_clean(grounds[0], by_hand)
            for defect in struck:
                results.append(self._said(strike_until_caught(server.url(), defect)))
            trials = [result.trial for result in results if result.trial]
            clean = clean.and_also(strike_clean(server.url(), trials) if trials else Judged())
        for finding in clean.findings:
            self.stdout.write(f"THE CLEAN DESK IS ACCUSED  by {finding.rule!r}: {finding.sentence}")
        for words in clean.silent:
            self.stdout.write(f"NOTHING IS KNOWN OF THE CLEAN DESK  in {words}")
        self.stdout.write(summary(results, clean))
        self.stdout.write(str(_write(report(results, clean, started_at=started_at), reports)))
        return exit_code(results, clean)

    def _said(self, result: Rehearsed) -> Rehearsed:
        self.stdout.write(line(result))
        self.stdout.flush()
        return result


def line(result: Rehearsed) -> str:
    """One result in words."""
    defect = result.defect
    words = f"{result.outcome.upper():26} gate {defect.gate}  {defect.name:30} {result.took_s:5.1f} s"
    if result.outcome == Outcome.NOT_SHOWN:
        return f"{words}  {result.reason}"
    expected = ", ".join(defect.rules)
    if not result.findings:
        return f"{words}  nothing was found, expected: {expected}. {result.reason}".rstrip()
    first = next((found for found in result.findings if found.rule in defect.rules), result.findings[0])
    also = "" if result.outcome == Outcome.CAUGHT else f" (expected: {expected})"
    return f"{words}  {result.where}: {first.rule}{also}. {first.sentence}"


def summary(results: Iterable[Rehearsed], clean: Judged) -> str:
    """How many of each, and the clean desk."""
    outcomes = [result.outcome for result in results]
    counts = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in Outcome if outcome in outcomes)
    word = "accused" if clean.findings else "not judged everywhere" if clean.silent else "clean"
    return f"{len(outcomes)} defects: {counts}; the clean desk is {word}."


def exit_code(results: Iterable[Rehearsed], clean: Judged) -> int:
    """Passed only when each was caught for its own reason and nothing is said, nor left open, of the clean desk."""
    outcomes = {result.outcome for result in results}
    if outcomes & {Outcome.MISSED, Outcome.OTHER_REASON} or clean.findings:
        return FAILED
    return PASSED if outcomes == {Outcome.CAUGHT} and not clean.silent else INCONCLUSIVE


@contextmanager
def _server() -> Iterator[PostgresServer]:
    with (
        tempfile.TemporaryDirectory(prefix="wartest-defects-") as home,
        running_postgres(Path(home), durable=False) as server,
    ):
        yield server


@contextmanager
def _grounds(server: PostgresServer, count: int) -> Iterator[list[Ground]]:
    with tempfile.TemporaryDirectory(prefix="wartest-grounds-") as home, ExitStack() as stack:
        homes = [Path(home) / f"ground-{number}" for number in range(count)]
        for folder in homes:
            folder.mkdir()
        grounds = [Ground(folder, _start, server.create_database, free_port) for folder in homes]
        yield [stack.enter_context(ground.running()) for ground in grounds]


def _start(spec: ProcessSpec, log_file: Path) -> "Popen[bytes]":
    with log_file.open("ab") as log:
        return start_child(spec, log=log, cwd=BASE_DIR)


def _at_once(options: dict[str, Any]) -> int:
    if not 1 <= options["at_once"] <= 8:
        raise CannotStartError(f"--at-once is {options['at_once']}: choose a number from 1 to 8.")
    return int(options["at_once"])


def _write(content: dict[str, Any], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rehearsed-defects-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path
