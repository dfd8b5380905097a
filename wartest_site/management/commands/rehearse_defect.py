"""The war test tested: plant a defect in the desk, and show which gate catches it, and by what."""

import json
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from subprocess import SubprocessError
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError
from django.utils import timezone
from rich.console import Console

from gates.detection.catalogue import Planted, UnknownDefectError, catalogue, named
from gates.detection.cells import UNCARRIED
from gates.detection.commands import begin_rehearsal, end_rehearsal, keep
from gates.detection.ground import GroundError
from gates.detection.judgement import Judged
from gates.detection.rehearsing import Outcome, Rehearsed
from gates.detection.reporting import report
from wartest_site import rehearsal, rehearsal_words
from wartest_site.embedded.children import CannotStartError
from wartest_site.report_folders import demand_writable, name_file
from wartest_site.stack import portal_database

PASSED, FAILED, CANNOT_START, INCONCLUSIVE = 0, 1, 2, 3


class Command(BaseCommand):
    help = "Plant a defect in the bundled desk and show which gate catches it, for which reason."
    requires_system_checks: list[str] = []  # they ask the portal's database, which may not run yet

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument(
            "names", nargs="*", default=[], metavar="NAME", help="the defect's name; several are welcome"
        )
        which.add_argument("--all", action="store_true", help="every defect")
        which.add_argument("--list", action="store_true", help="show the catalogue, rehearse nothing")
        parser.add_argument("--at-once", type=int, default=2, help="how many at the same time, 1 to 8 (default: 2)")
        parser.add_argument("--reports-dir", default="reports", help="folder for the report")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            defects = catalogue()
            if options["list"]:
                self._list(defects)
                return
            names = dict.fromkeys(options["names"])
            chosen = defects if options["all"] else tuple(named(defects, name) for name in names)
            at_once = min(_at_once(options), len(chosen))
            demand_writable(Path(options["reports_dir"]))
            with portal_database() as portal:
                code = self._rehearse(chosen, at_once=at_once, reports=Path(options["reports_dir"]))
                if portal:
                    self.stdout.write(f"{portal}defects/")
        except (UnknownDefectError, CannotStartError, GroundError, SubprocessError, *UNCARRIED) as error:
            self.stderr.write(str(error))
            sys.exit(CANNOT_START)
        except DatabaseError as error:
            said = str(error).strip().splitlines()[0]
            self.stderr.write(
                f"The portal's database cannot keep the rehearsal: {said}. Look at DATABASE_URL, migrate."
            )
            sys.exit(CANNOT_START)
        sys.exit(code)

    def _list(self, defects: Iterable[Planted]) -> None:
        for defect in defects:
            self.stdout.write(f"gate {defect.gate}  {defect.name:30} {defect.title} ({defect.origin or 'hand-made'})")

    def _rehearse(self, defects: tuple[Planted, ...], *, at_once: int, reports: Path) -> int:
        """Rehearse them, then the clean desk in the same places; each is kept as it comes."""
        began, started_at = time.monotonic(), datetime.now(UTC)
        console = Console(width=None if sys.stdout.isatty() else rehearsal_words.PLAIN_WIDTH)
        row = begin_rehearsal((defect.name for defect in defects), now=timezone.now())
        results: list[Rehearsed] = []
        by_hand = any(defect.gate != rehearsal.CHAOS for defect in defects)
        with (
            rehearsal.own_server() as server,
            rehearsal.own_places(server, at_once, grounds=by_hand) as places,
            rehearsal_words.telling(console) as teller,
        ):
            teller.begin(f"{len(defects)} defects", len(defects))
            for result in rehearsal.rehearse(server, places, defects, teller):
                results.append(result)
                keep(row, result, now=timezone.now())
                console.print(rehearsal_words.line(result), markup=False, highlight=False, soft_wrap=True)
                teller.step()
            teller.begin("the clean desk in the same places", 1)
            clean = rehearsal.judge_clean(server, places, results, teller)
        end_rehearsal(row, clean, now=timezone.now())
        self._show(console, results, clean)
        self.stdout.write(f"{rehearsal_words.summary(results, clean)[:-1]}, in {_minutes(time.monotonic() - began)}.")
        name_file(lambda: _write(report(results, clean, started_at=started_at), reports), self.stdout.write)
        return exit_code(results, clean)

    def _show(self, console: Console, results: list[Rehearsed], clean: Judged) -> None:
        if len(results) > 1:
            console.print()
            console.print(rehearsal_words.table(results))
            console.print()
        for words in rehearsal_words.accusations(clean):
            self.stdout.write(words)


def exit_code(results: Iterable[Rehearsed], clean: Judged) -> int:
    """Passed only when each was caught for its own reason and nothing is said, nor left open, of the clean desk."""
    outcomes = {result.outcome for result in results}
    if outcomes & {Outcome.MISSED, Outcome.OTHER_REASON} or clean.findings:
        return FAILED
    return PASSED if outcomes == {Outcome.CAUGHT} and not clean.silent else INCONCLUSIVE


def _minutes(length_s: float) -> str:
    return f"{length_s:.0f} s" if length_s < 100 else f"{length_s // 60:.0f} min {length_s % 60:.0f} s"


def _at_once(options: dict[str, Any]) -> int:
    if not 1 <= options["at_once"] <= 8:
        raise CannotStartError(f"--at-once is {options['at_once']}: choose a number from 1 to 8.")
    return int(options["at_once"])


def _write(content: dict[str, Any], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rehearsed-defects-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path
