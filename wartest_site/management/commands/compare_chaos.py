"""Whether reports of gate 2 show the same strikes and the same verdicts: from the files alone, without a database."""

import json
import re
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from gates.chaos.comparing import ABSENT, VERSION, Comparison, compare, fingerprint, scenarios_shown

IDENTICAL, DIFFERENT, CANNOT_START = 0, 1, 2
SHOWN = 10  # strikes of each kind


class Command(BaseCommand):
    help = "Compare reports of gate 2, each with the first: the same strikes, the same verdicts?"
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("reports", nargs="+", type=Path, help="chaos-test-….json, two or more")
        parser.add_argument(
            "--depth",
            type=int,
            choices=(1, 2),
            default=2,
            help="1 leaves the second strikes in recoveries out, and scenarios' own verdicts, which they decide too",
        )
        parser.add_argument(
            "--fingerprint", metavar="HEX", help="of a report that is not at hand, as it was shown for that depth"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        paths, depth, wanted = options["reports"], options["depth"], options["fingerprint"]
        try:
            if len(paths) < 2 and not wanted:
                raise ValueError("Name two reports or more, or the --fingerprint of another.")
            if wanted is not None:
                demand_fingerprint(wanted)
            first, *others = reports = [read(path, depth) for path in paths]
        except ValueError as error:
            self.stderr.write(str(error))
            sys.exit(CANNOT_START)
        identical = True
        for path, report in zip(paths, reports, strict=True):
            found = fingerprint(report, depth)
            identical &= wanted in (None, found)
            self.stdout.write(f"{path}: {found}{'' if wanted in (None, found) else f', not {wanted}'}")
        for path, other in zip(paths[1:], others, strict=True):
            self.stdout.write(f"{path} beside {paths[0]}")
            identical &= self._compared(first, other, depth)
        sys.exit(IDENTICAL if identical else DIFFERENT)

    def _compared(self, first: dict[str, Any], other: dict[str, Any], depth: int) -> bool:
        """Show every scenario of both; whether all are identical."""
        earlier, later = scenarios_shown(first, depth), scenarios_shown(other, depth)
        identical = True
        for scenario in dict.fromkeys((*earlier, *later)):
            compared = compare(earlier.get(scenario, ABSENT), later.get(scenario, ABSENT))
            identical &= compared.identical
            self._show(scenario, compared)
        return identical

    def _show(self, scenario: str, compared: Comparison) -> None:
        self.stdout.write(f"  {'≡' if compared.identical else '≠'} {scenario}: {compared.words}")
        for strike, (earlier, later) in list(compared.verdicts.items())[:SHOWN]:
            self.stdout.write(f"      {earlier} → {later}: {' · '.join(filter(None, strike))}")
        for words, strikes in (("only earlier", compared.only_earlier), ("only later", compared.only_later)):
            for strike in strikes[:SHOWN]:
                self.stdout.write(f"      {words}: {' · '.join(filter(None, strike))}")


def demand_fingerprint(text: str) -> None:
    """Raises ValueError, with one sentence, for what is none, or one of before that says less."""
    if re.fullmatch("[0-9a-f]{16}", text):
        raise ValueError(f"{text!r} was made without scenarios' verdicts: it is not compared with one that has them.")
    if not re.fullmatch(f"{VERSION}[0-9a-f]{{16}}", text):
        raise ValueError(f"{text!r} is no fingerprint: one is as {VERSION}3fa00f1e5a8fb30e.")


def read(path: Path, depth: int) -> dict[str, Any]:
    """A report of gate 2. Raises ValueError, with one sentence, for what is none, or struck nothing to that depth."""
    try:
        report: dict[str, Any] = json.loads(path.read_text())
        if report["kind"] != "chaos-test":
            raise ValueError(f"{path} is a report of another kind: {report['kind']}.")
        if not any(shown.strikes for shown in scenarios_shown(report, depth).values()):
            raise ValueError(f"{path} holds no strike: there is nothing to compare.")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no report of gate 2 ({error!r}).") from error
    return report
