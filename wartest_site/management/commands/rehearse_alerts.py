"""The alerts tested: provoke each of the thirteen rules for real, and show when whom it reached."""

import json
import os
import signal
import sys
import time
from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path
from subprocess import SubprocessError
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from rich.console import Console

from gates.alerts.provoking.provocations import PROVOCATIONS, Provocation
from gates.alerts.rules import BY_NAME
from gates.detection.ground import GroundError
from wartest_site import alert_rehearsal_words as words
from wartest_site.alert_rehearsal import LIMIT_MS, Followed, Outcome, Scene, rehearse, scene
from wartest_site.embedded.children import CannotStartError
from wartest_site.management.commands.benchmark import machine
from wartest_site.rehearsal_words import PLAIN_WIDTH
from wartest_site.whole_portal import PERSON

PASSED, FAILED, CANNOT_START, INCONCLUSIVE = 0, 1, 2, 3


class Command(BaseCommand):
    help = "Provoke each of the thirteen alerts for real, on a portal of its own, and show when it reached whom."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("rules", nargs="*", metavar="RULE", help="only what provokes these rules (all thirteen)")
        parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was seen to this file")
        parser.add_argument("--stay", action="store_true", help="keep the portal until Ctrl-C, to look at its inbox")

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = chosen_of(options["rules"])
        file: Path | None = options["json"]
        if file is not None and not os.access(file.resolve().parent, os.W_OK):
            raise CommandError(f"{file} cannot be written: give a file in a folder that can.", returncode=CANNOT_START)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)  # whoever ends us: what was begun is undone
        try:
            with scene(self._say) as on:
                rows = self._rehearse(on, chosen)
                if options["stay"]:
                    self._stay(on)
        except KeyboardInterrupt:
            self.stderr.write("Ended before its time: nothing is shown by that.")
            sys.exit(INCONCLUSIVE)
        except (CannotStartError, GroundError, SubprocessError, OSError, DatabaseError) as error:
            self.stderr.write(f"{str(error).strip().splitlines()[0].removesuffix('.')}.")
            sys.exit(CANNOT_START)
        if file is not None:
            _write(file, rows)
            self.stdout.write(str(file))
        sys.exit(exit_code(rows))

    def _rehearse(self, on: Scene, chosen: tuple[Provocation, ...]) -> list[Followed]:
        console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
        began, rows = time.monotonic(), list[Followed]()
        for heard in rehearse(on, chosen, self._say):
            rows += heard
            for row in heard:
                self._say(words.heard(row))
        console.print()
        console.print(words.table(rows))
        console.print()
        for row in rows:
            for wrong in row.said_against:
                self.stdout.write(f"{row.outcome.upper()}  {row.rule}: {wrong}")
        self.stdout.write(f"{words.summary(rows)[:-1]}, in {time.monotonic() - began:.0f} s.")
        return rows

    def _stay(self, on: Scene) -> None:
        self._say(f"{on.portal.url}/alerts/?state=all  Sign in as {PERSON} with the password {on.portal.password}")
        self._say("Ctrl-C ends it")
        with suppress(KeyboardInterrupt):
            on.portal.supervisor.watch()

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def chosen_of(names: list[str]) -> tuple[Provocation, ...]:
    """Return what provokes these rules, or everything. Raises CommandError for a name that is no rule's."""
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        raise CommandError(f"No rule is named {unknown[0]!r}: use {', '.join(BY_NAME)}.", returncode=CANNOT_START)
    return tuple(each for each in PROVOCATIONS if not names or not each.raises.keys().isdisjoint(names))


def exit_code(rows: list[Followed]) -> int:
    """Passed only when nothing is said against any; what was not provoked shows nothing."""
    outcomes = {row.outcome for row in rows}
    if Outcome.FAILED in outcomes:
        return FAILED
    return PASSED if outcomes == {Outcome.PASSED} else INCONCLUSIVE


def _write(file: Path, rows: list[Followed]) -> None:
    """Write the whole file or none of it."""
    content = {"machine": machine(), "limit_ms": LIMIT_MS, "rules": [words.told(row) for row in rows]}
    draft = file.with_name(f".{file.name}.part")
    draft.write_text(json.dumps(content, indent=2) + "\n")
    draft.replace(file)
