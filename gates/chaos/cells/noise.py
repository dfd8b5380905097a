"""What differs from one run to the next though nothing else does: random ids, durations, counters. Pure.

A foreign desk keeps what we cannot know by its look: serial numbers, tokens, latencies. So it is learned from the clean
runs, which begin alike, do the same and end alike: what differs between them at their ends is chance. It is left out
where a kill that is made again must leave the same state, and where states are counted: see `digests`.

It may hide more than chance: all of a file of which one word differs, of JSON the step beside a duration. So no strike
stands for another whose state only noise tells apart: each of the two is followed, and its recovery struck, by itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Table = tuple[str, str]
"""Schema and name."""
Column = tuple[str, str, str]
"""Schema, table and name."""


@dataclass(frozen=True, slots=True)
class Kept:
    """All that a target keeps at one moment, in short.

    `tables` holds how many rows each has, and by column a hash of its values in any order; `files` a hash of each.
    """

    tables: Mapping[Table, tuple[int, Mapping[str, str]]]
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Noise:
    """What is not compared: numbers and random words of `columns`, whole `tables`, and `files` by name.

    In a column words still count, and so does whether there is a value: a status never goes unseen.
    """

    columns: frozenset[Column] = frozenset()
    tables: frozenset[Table] = frozenset()
    files: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        """Whether anything is left out."""
        return bool(self.columns or self.tables or self.files)

    @property
    def words(self) -> list[str]:
        """Each of them by name, as a page and a report show it."""
        tables = [f"{'.'.join(table)} (all of it)" for table in self.tables]
        return sorted([*map(".".join, self.columns), *tables, *(f"file {name}" for name in self.files)])

    def shape(self) -> dict[str, Any]:
        """As JSON."""
        columns, tables = ([list(name) for name in sorted(names)] for names in (self.columns, self.tables))
        return {"columns": columns, "tables": tables, "files": sorted(self.files)}

    @classmethod
    def of(cls, shape: Mapping[str, Any]) -> "Noise":
        """What `shape` gave; nothing of what it does not name."""
        return cls(
            frozenset((schema, table, column) for schema, table, column in shape.get("columns", ())),
            frozenset((schema, table) for schema, table in shape.get("tables", ())),
            frozenset(shape.get("files", ())),
        )


SILENCE = Noise()


def learned(ends: Sequence[Kept]) -> Noise:
    """What differs between the ends of clean runs; nothing is learned from a single one."""
    tables = {table for one, other in pairwise(ends) for table in _differing(_counts(one), _counts(other))}
    columns = {
        (*table, column)
        for one, other in pairwise(ends)
        for table in (one.tables.keys() & other.tables.keys()) - tables
        for column in _differing(one.tables[table][1], other.tables[table][1])
    }
    files = {name for one, other in pairwise(ends) for name in _differing(one.files, other.files)}
    return Noise(frozenset(columns), frozenset(tables), frozenset(files))


def _counts(kept: Kept) -> dict[Table, int]:
    return {table: rows for table, (rows, _) in kept.tables.items()}


def _differing[K](one: Mapping[K, object], other: Mapping[K, object]) -> Iterable[K]:
    """The keys of which only one knows, or at which they differ."""
    return (key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
