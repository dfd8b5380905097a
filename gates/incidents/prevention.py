"""Prevention tests: a command of the target's own description, run by the portal on the old build and on the new one.

    [prevention]
    command = ["/srv/desk/prevention-test", "{build}", "{test}"]
    program = ["/srv/desk/builds/{build}/desk", "--port", "{port}"]
    limit_s = 600

The description gives the command, so that nobody who can open a page can run a program of his choice; the page gives
only the test's name. Exit 0 passed, 1 failed; everything else, and no end within the limit, proves nothing.

`program` is `[process] command` for a build that is named: with it a crash point that failed is struck again in cells
of both builds.
"""

import re
from collections.abc import Mapping
from typing import Any

from gates.targets.rehearsal import cell_program, prevention_command, program_of_build

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/\[\]-]{0,199}")
LIMIT_S, MOST_LIMIT_S = 600, 3600


class PreventionError(ValueError):
    """No prevention test can be run like this; the message says what to write instead."""


def prevention_argv(spec: Mapping[str, Any], *, build: str, test: str) -> list[str]:
    """Return the command for this build and this test, without a shell. Raises PreventionError."""
    if not NAME.fullmatch(test) or ".." in test:
        raise PreventionError("Name the test by letters, digits and _ . : / [ ] -, as your test command knows it.")
    command = _command(spec)
    if not any("{build}" in part for part in command) or not any("{test}" in part for part in command):
        raise PreventionError(
            "[prevention] command must hold {build} and {test}: the same test has to run on both builds."
        )
    return [part.replace("{build}", build).replace("{test}", test) for part in command]


def _command(spec: Mapping[str, Any]) -> list[str]:
    section = spec.get("prevention")
    if section is None and _is_bundled(spec):
        return list(prevention_command())
    command = section.get("command") if isinstance(section, Mapping) else None
    if not isinstance(command, list) or not command or not all(isinstance(part, str) for part in command):
        raise PreventionError(
            "The target's description has no [prevention] command: add one, as a list of words with {build} and {test}."
        )
    return command


def _is_bundled(spec: Mapping[str, Any]) -> bool:
    process = spec.get("process") or {}
    return str(process.get("health", "")).startswith("rehearsal:") and not process.get("command")


def spec_of_build(spec: Mapping[str, Any], build: str) -> dict[str, Any]:
    """Return the description with the program of this build as the one that cells run. Raises PreventionError."""
    section, shape = spec.get("prevention"), spec
    command = section.get("program") if isinstance(section, Mapping) else None
    if command is None and _is_bundled(spec):
        shape, command = cell_program(), list(program_of_build())
    if not isinstance(command, list) or not command or not all(isinstance(part, str) for part in command):
        raise PreventionError(
            "The target's description has no [prevention] program: add one, as [process] command with {build} in it."
        )
    if not any("{build}" in part for part in command):
        raise PreventionError("[prevention] program must hold {build}: both builds have to be started by it.")
    process = dict(spec.get("process") or {}) | dict(shape.get("process") or {})
    process["command"] = [part.replace("{build}", build) for part in command]
    process["environment"] = dict(process.get("environment") or {}) | {"WARTEST_BUILD": build}
    return {**spec, "process": process, "operations": dict(shape.get("operations") or {})}


def limit_s(spec: Mapping[str, Any]) -> float:
    """Return how long a test may take, 1 to 3,600 s."""
    section = spec.get("prevention")
    wanted = section.get("limit_s", LIMIT_S) if isinstance(section, Mapping) else LIMIT_S
    return float(min(max(wanted, 1), MOST_LIMIT_S)) if isinstance(wanted, int | float) else float(LIMIT_S)
