"""What a user's schema holds, as data. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

_EDGE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a user's table; `type` in PostgreSQL's words, without a length.

    `words` are those that stand in it, None where nobody looked or there are too many.
    """

    name: str
    type: str
    words: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """A column that names a row of another table; `declared` by a foreign key, else told by its name."""

    column: str
    table: str
    target: str
    declared: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """One table or view of a user's. `rows` is an estimate, -1 where nobody knows."""

    schema: str
    name: str
    fields: tuple[Field, ...]
    key: str = ""
    references: tuple[Reference, ...] = ()
    rows: int = -1

    def named(self, name: str) -> Field | None:
        """The column of this name."""
        return next((one for one in self.fields if one.name == name), None)

    def called(self, word: str) -> Iterator[Field]:
        """The columns that are called so, in whatever writing: `clientOrderId` and `order_client_order_id` too."""
        singular = singular_of(plain(self.name))
        for one in self.fields:
            if plain(one.name) in (word, f"{singular}_{word}"):
                yield one


def plain(name: str) -> str:
    """A name as the synonyms write it: lower case, words joined by `_`."""
    return re.sub(r"[^a-z0-9]+", "_", _EDGE.sub("_", name).lower()).strip("_")


def singular_of(name: str) -> str:
    """One of many: `positions` gives `position`, `entries` gives `entry`."""
    if name.endswith("ies"):
        return name[:-3] + "y"
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name


def with_implied(tables: Sequence[Table]) -> tuple[Table, ...]:
    """The tables, with the references that no foreign key declares but a name tells: `position_id` → `positions`."""
    keyed = {singular_of(plain(table.name)): table for table in tables if table.key}
    return tuple(_implied(table, keyed) for table in tables)


def _implied(table: Table, keyed: Mapping[str, Table]) -> Table:
    known = {reference.column for reference in table.references}
    implied = []
    for one in table.fields:
        target = keyed.get(plain(one.name).removesuffix("_id"))
        if one.name in known or target is None or target.name == table.name or not plain(one.name).endswith("_id"):
            continue
        theirs = target.named(target.key)
        if theirs is not None and theirs.type == one.type:
            implied.append(Reference(one.name, target.name, target.key, declared=False))
    return replace(table, references=(*table.references, *implied))
