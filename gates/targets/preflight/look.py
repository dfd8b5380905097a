"""One look at everything that a target needs, in the order in which to mend it; what was seen is kept as a row."""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gates.alerts.delivery.reaching import NAME, reach
from gates.models import Preflight, Target
from gates.targets.access import Access, TargetUnreachableError, access, resolved
from gates.targets.description import Description, secret_names
from gates.targets.preflight.account import account
from gates.targets.preflight.books import books
from gates.targets.preflight.controlled import controlled
from gates.targets.preflight.identity import differences, identity, production_of
from gates.targets.preflight.machine import machine
from gates.targets.preflight.need import Need, first_line
from gates.targets.preflight.running import running
from gates.targets.preflight.trying import tried

GROUP = "description"


class Look:
    """The look at one target: `needs` are found one by one, `keep` writes the row once they are."""

    def __init__(self, target: Target, home: Path) -> None:
        self.target = target
        self.identity: dict[str, Any] = {}
        self.differences: list[dict[str, str]] = []
        self.found: list[Need] = []
        self._home = home
        self._began = time.monotonic()

    def needs(self, *, cell: bool = True, restart: bool = False) -> Iterator[Need]:
        """Find every need; without `cell` no program of the target's is started, with `restart` the running one is."""
        for need in self._needs(cell=cell, restart=restart):
            self.found.append(need)
            yield need

    def _needs(self, *, cell: bool, restart: bool) -> Iterator[Need]:
        spec = self.target.spec
        yield described(self.target.name, spec)
        yield from secrets(spec)
        try:
            reach = access(spec)
        except TargetUnreachableError as error:
            yield Need(GROUP, "addresses", False, first_line(error))
        else:
            yield from books(reach, "[ledger] url")
            yield from account(reach)
            yield from controlled(reach, restart=restart)
            yield from running(reach)
            yield from self._environment(spec, reach)
        yield from machine(self._home)
        yield _heard()
        if not cell:
            yield Need("program in a cell", "cell", None, "not tried: leave --no-cell out")
        elif "health" in (spec.get("process") or {}) or (spec.get("process") or {}).get("command"):
            yield from tried(spec)
        else:
            words = "add [process] command, environment, ready and [operations]: gate 2 starts copies of the program"
            yield Need("program in a cell", "cell", False, words)

    def _environment(self, spec: Mapping[str, Any], reach: Access) -> Iterator[Need]:
        production, trouble = production_of(spec)
        here = identity(reach)
        self.differences = differences(here, production)
        self.identity = here | {"compared": bool(production)}
        if trouble:
            yield Need("environment", "like production", False, trouble)
        elif not production:
            words = "not compared: name production's facts in [production]; --identity FILE writes those of a machine"
            yield Need("environment", "like production", None, words, optional=True)
        else:
            words = (
                f"{len(self.differences)} of {len(here)} facts differ" if self.differences else "alike in every fact"
            )
            yield Need("environment", "like production", True, words)

    def keep(self, now: datetime) -> Preflight:
        """Write down what was seen."""
        return Preflight.objects.create(
            target=self.target,
            at=now,
            took_s=round(time.monotonic() - self._began, 1),
            met=bool(self.found) and all(need.met or need.optional for need in self.found),
            lines=[need.shape() for need in self.found],
            identity=self.identity,
            differences=self.differences,
        )


def described(name: str, spec: Mapping[str, Any]) -> Need:
    """Whether the row still is a description; the bundled target's own words are not for files."""
    if str((spec.get("ledger") or {}).get("url", "")).startswith("rehearsal:"):
        return Need(GROUP, "description", True, "the bundled target's")
    try:
        Description.model_validate({"name": name, **spec})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        return Need(GROUP, "description", False, f"{place}: {first['msg']}: correct its file and run add_target again")
    return Need(GROUP, "description", True, f"{len(spec)} sections, {len(secret_names(spec))} secrets by name")


def _heard() -> Need:
    """Whether somebody who is away would hear of a critical alert; a target is ready all the same."""
    alerts = reach()
    return Need("portal", NAME, True if alerts.met else None, alerts.words, optional=True)


def secrets(spec: Mapping[str, Any]) -> Iterator[Need]:
    """Each secret that is named and is not there; one line when all are."""
    missing = []
    for name in secret_names(spec):
        try:
            resolved(name, "The description")
        except TargetUnreachableError as error:
            missing.append(Need(GROUP, name, False, first_line(error)))
    yield from missing
    if not missing:
        count = len(secret_names(spec))
        yield Need(GROUP, "secrets", True, f"all {count} are there" if count else "it names none")
