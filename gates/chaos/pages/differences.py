"""What one strike changed in the books, as tables of changed rows only, and what passed around it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audits.contract import RELATIONS
from gates.chaos.strikes.recovery import RESTARTED

AGAIN = "second restart"
MOST_ROWS = 200  # of one relation; a strike at one operation changes a handful
# The order in which a person reads a row; what the ledger contract does not name comes last.
ORDER = {relation.name: tuple(column.name for column in relation.columns) for relation in RELATIONS}
ORDER["broker"] = ("id", "type", "reason", "instrument", "units", "price", "pl", "accountBalance", "orderID", "time")
STRUCK = "→ "  # how a record of messages marks the one that was struck
MARKS = {"added": "+", "removed": "−", "changed": "±"}


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row that came, went or changed; of a changed one only the changed values, as `before → after`."""

    kind: str
    values: tuple[str, ...]

    @property
    def mark(self) -> str:
        return MARKS[self.kind]


@dataclass(frozen=True, slots=True)
class Changed:
    """The changed rows of one relation, with the columns that any of them fills."""

    relation: str
    columns: tuple[str, ...]
    rows: tuple[ChangedRow, ...]
    left_out: int


def changed_rows(changes: Mapping[str, Any]) -> list[Changed]:
    """The relations that changed between the strike and the end of the recovery."""
    return [_changed(name, kinds) for name, kinds in changes.items() if name != AGAIN]


def changed_again(changes: Mapping[str, Any]) -> list[Changed]:
    """The relations that one more restart changed, which it must not."""
    return changed_rows(changes.get(AGAIN) or {})


def passages_of(messages: Sequence[str]) -> list[tuple[str, str]]:
    """Each message around a strike and what it is: `struck`, `restart` (between two strikes, no message), or empty."""
    kinds = {RESTARTED: "restart"}
    return [
        (line.removeprefix(STRUCK), "struck" if line.startswith(STRUCK) else kinds.get(line, "")) for line in messages
    ]


def _changed(relation: str, kinds: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Changed:
    found = [(kind, key, row) for kind in MARKS for key, row in kinds.get(kind, {}).items()]
    kept = found[:MOST_ROWS]
    filled = dict.fromkeys(name for _, _, row in kept for name, value in row.items() if value is not None)
    order = ORDER.get(relation, ())
    names = [name for name in order if name in filled] + [name for name in filled if name not in order]
    has_key = any(key in map(str, row.values()) for kind, key, row in kept if kind != "changed")
    keyed = any(kind == "changed" for kind, _, _ in kept) or not has_key
    rows = tuple(
        ChangedRow(kind, (*((key,) if keyed else ()), *(_written(row.get(name)) for name in names)))
        for kind, key, row in kept
    )
    return Changed(relation, (*(("row",) if keyed else ()), *names), rows, len(found) - len(kept))


def _written(value: Any) -> str:
    """A value as the books hold it; of a changed one what it was and what it became."""
    if isinstance(value, list) and len(value) == 2:
        before, after = map(_written, value)
        return f"{before or 'nothing'} → {after or 'nothing'}"
    return "" if value is None else str(value)
