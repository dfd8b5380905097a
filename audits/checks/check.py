"""What a check is: what it needs, the SQL that looks, and the words of each rule that it can find broken."""

from collections.abc import Mapping
from dataclasses import dataclass

from audits.contract import BROKER_RELATIONS
from audits.findings import Level

NOTE, INCONCLUSIVE, NOT_APPLICABLE = "note", "inconclusive", "not applicable"

_BROKER = frozenset(relation.name for relation in BROKER_RELATIONS)


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
    `remarks_sql` gives rows of a weight and a sentence: what the check could not see (`note` where the rest is worth
    a verdict, `inconclusive` where it is not, `not applicable` where the ledger keeps no such thing).

    SQL may use every relation in `needs`; those of the broker in `compares`, which are empty where no broker's books
    were given and must be there where they were; the tables in `uses` (see audits.shared_tables), and the macro
    `plain(number)` for a number without idle zeros. A check with `needs_tie` compares ledger and broker, so it compares
    nothing where the two are of different moments. `own` are the columns (`relation.column`) that must be the ledger's
    own: where a view makes one up, the check would agree with the view, so it never passes.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    rows_sql: str
    findings_sql: str
    rules: Mapping[str, Rule]
    empty: str
    needs_tie: bool = False
    compares: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    remarks_sql: str = ""
    own: tuple[str, ...] = ()

    @property
    def is_about_broker(self) -> bool:
        """Whether nothing is left of the check without a broker's books."""
        return any(name in _BROKER for name in self.needs)
