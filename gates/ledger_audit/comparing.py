"""Two audits of one target side by side: per check the verdict and rows, and which findings came, went and stayed."""

from dataclasses import dataclass

from gates.ledger_audit.lines import Line
from gates.ledger_audit.standing import named_lines
from gates.models import Finding, Run


@dataclass(frozen=True, slots=True)
class Compared:
    """One check in two audits; a line is None where the audit did not have the check.

    `stayed` holds the later row of each. Findings are compared by fingerprint, among those that were kept.
    """

    name: str
    before: Line | None
    after: Line | None
    came: tuple[Finding, ...]
    went: tuple[Finding, ...]
    stayed: tuple[Finding, ...]

    @property
    def title(self) -> str:
        line = self.after or self.before or {}
        return str(line.get("title") or self.name.replace("_", " "))

    @property
    def kinds(self) -> tuple[tuple[str, tuple[Finding, ...]], ...]:
        return (("came", self.came), ("went", self.went), ("stayed", self.stayed))

    @property
    def same(self) -> bool:
        """Whether nothing changed but, perhaps, how many rows there are."""
        verdicts = {line["verdict"] for line in (self.before, self.after) if line}
        return bool(self.before and self.after) and len(verdicts) == 1 and not self.came and not self.went

    @property
    def all_kept(self) -> bool:
        """Whether every finding of both audits was kept, so that none is missing from the comparison."""
        counted = sum(int(line.get("findings", 0)) for line in (self.before, self.after) if line)
        return counted == len(self.came) + len(self.went) + 2 * len(self.stayed)


def compared(before: Run, after: Run) -> list[Compared]:
    """Compare check by check, in the order of the later audit's table."""
    lines = {run.pk: {line["name"]: line for line in named_lines(run)} for run in (before, after)}
    names = dict.fromkeys([*lines[after.pk], *lines[before.pk]])
    rows = {run.pk: _by_check(run) for run in (before, after)}
    return [
        _compare(name, (lines[before.pk].get(name), lines[after.pk].get(name)), rows[before.pk], rows[after.pk])
        for name in names
    ]


_Rows = dict[str, dict[str, Finding]]


def _by_check(run: Run) -> _Rows:
    found: _Rows = {}
    for row in run.findings.select_related("slot").order_by("pk"):
        if row.slot:
            found.setdefault(row.slot.check_name, {})[row.fingerprint] = row
    return found


def _compare(name: str, lines: tuple[Line | None, Line | None], before: _Rows, after: _Rows) -> Compared:
    earlier, later = before.get(name, {}), after.get(name, {})
    return Compared(
        name,
        *lines,
        came=tuple(row for key, row in later.items() if key not in earlier),
        went=tuple(row for key, row in earlier.items() if key not in later),
        stayed=tuple(row for key, row in later.items() if key in earlier),
    )
