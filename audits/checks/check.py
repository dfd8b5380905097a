"""What a check is: what it needs, the SQL that looks, and the words of each rule that it can find broken."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from audits.findings import Level


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `sentence` is a format string over the finding's columns: expected, measured, difference and keys."""

    level: Level
    sentence: str


@dataclass(frozen=True, slots=True)
class Check:
    """One check over a snapshot, as data.

    `rows_sql` gives one number: how many rows were looked at; none makes the check inconclusive, for the reason
    `empty`. `findings_sql` gives one row for each thing wrong, in an order that a reader can follow, with the columns
    `rule`, `expected`, `measured`, `difference` (an exact number or null) and then the keys of the rows concerned.
    SQL may use every relation in `needs` by its name, and the macro `plain(number)` for a number without idle zeros.
    A check with `needs_tie` compares ledger and broker, so it says nothing where the two are of different moments.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    rows_sql: str
    findings_sql: str
    rules: Mapping[str, Rule]
    empty: str
    needs_tie: bool = field(default=False)
