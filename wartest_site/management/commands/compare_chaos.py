"""Whether reports of gate 2 show the same strikes and the same verdicts: from the files alone, without a database."""

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from audits.verdicts import Verdict, merge
from gates.chaos.comparing import Comparison, Strike, Verdicts, compare, second_strike

IDENTICAL, DIFFERENT, CANNOT_START = 0, 1, 2
SHOWN = 10  # strikes of each kind


class Command(BaseCommand):
    help = "Compare reports of gate 2, each with the first: the same strikes, the same verdicts?"
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("reports", nargs="+", type=Path, help="chaos-test-….json, two or more")
        parser.add_argument(
            "--depth", type=int, choices=(1, 2), default=2, help="1 leaves the second strikes in recoveries out"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        paths: list[Path] = options["reports"]
        try:
            if len(paths) < 2:
                raise ValueError("Name two reports or more.")
            first, *others = [verdicts_of(path, options["depth"]) for path in paths]
        except ValueError as error:
            self.stderr.write(str(error))
            sys.exit(CANNOT_START)
        identical = True
        for path, other in zip(paths[1:], others, strict=True):
            self.stdout.write(f"{path} beside {paths[0]}")
            for scenario in dict.fromkeys((*first, *other)):
                compared = compare(first.get(scenario, {}), other.get(scenario, {}))
                identical &= compared.identical
                self._show(scenario, compared)
        sys.exit(IDENTICAL if identical else DIFFERENT)

    def _show(self, scenario: str, compared: Comparison) -> None:
        self.stdout.write(f"  {'≡' if compared.identical else '≠'} {scenario}: {compared.words}")
        for strike, (earlier, later) in list(compared.verdicts.items())[:SHOWN]:
            self.stdout.write(f"      {earlier} → {later}: {' · '.join(filter(None, strike))}")
        for words, strikes in (("only earlier", compared.only_earlier), ("only later", compared.only_later)):
            for strike in strikes[:SHOWN]:
                self.stdout.write(f"      {words}: {' · '.join(filter(None, strike))}")


def verdicts_of(path: Path, depth: int) -> dict[str, Verdicts]:
    """Every strike's verdict by scenario, up to a depth. Raises ValueError, with one sentence, for what is no report of
    gate 2.
    """
    try:
        report = json.loads(path.read_text())
        if report["kind"] != "chaos-test":
            raise ValueError(f"{path} is a report of another kind: {report['kind']}.")
        return {scenario["name"]: _strikes(scenario, depth) for scenario in report["scenarios"]}
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no report of gate 2 ({error!r}).") from error


def _strikes(scenario: dict[str, Any], depth: int) -> Verdicts:
    points = [point for point in scenario["crash_points"] if depth > 1 or point["then"] is None]
    made: dict[Strike, str] = {}
    for point in points:  # two engines may strike the recovery from one state, under one name: the worse verdict stands
        before = made.get(_named(point), Verdict.PASSED)
        made[_named(point)] = merge((Verdict(before), Verdict(point["verdict"])))
    skipped = scenario.get("not_applicable", [])
    return made | {(each["operation"], each["point"], each["fault"], ""): "not applicable" for each in skipped}


def _named(point: dict[str, Any]) -> Strike:
    then = point["then"]
    if then is None:
        return (point["operation"], point["point"], point["fault"], "")
    return second_strike(point["operation"], then["state"], then["strike"], then["point"])
