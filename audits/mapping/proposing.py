"""A proposal: for each relation of the contract the table that it is most likely kept in, column by column. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audits.contract import RELATIONS, Column, Relation
from audits.mapping.deriving import Cell, Join, Source, completed
from audits.mapping.found import Table, plain, with_implied
from audits.mapping.matching import matched
from audits.mapping.synonyms import table_names

NAME_SCORE, COLUMNS_SCORE = 40, 60
LEAST_SCORE = 50
# Without these a table is not of the kind: of each group one.
MARKS: dict[str, tuple[tuple[str, ...], ...]] = {
    "accounts": (("account_id",), ("balance", "currency")),
    "orders": (("order_id",), ("status",), ("units",)),
    "executions": (("price",), ("units",), ("order_id", "position_id")),
    "positions": (("status",), ("units",), ("entry_price",)),
    "position_events": (("position_id",), ("event_type",)),
    "balance_events": (("amount",),),
    "reconciliations": (("mismatches",),),
}


@dataclass(frozen=True, slots=True)
class View:
    """One view as proposed: where its rows come from, and each column's source, in the contract's order."""

    relation: Relation
    table: Table
    cells: tuple[Cell, ...]
    joins: tuple[Join, ...]
    score: int

    def cell(self, column: str) -> Cell:
        """The cell of a column. Raises KeyError for one that the contract does not have."""
        found = next((cell for cell in self.cells if cell.column.name == column), None)
        if found is None:
            raise KeyError(column)
        return found

    @property
    def where(self) -> str:
        """Which rows of its table are meant; "" where all are. Of orders that hold their own fill, the filled ones."""
        orders = plain(self.table.name) in table_names("orders")
        return f"{self.cell('units').sql} <> 0" if self.relation.name == "executions" and orders else ""

    @property
    def lacks(self) -> tuple[Column, ...]:
        """The columns that the contract demands and nothing was found for."""
        return tuple(cell.column for cell in self.cells if cell.sql is None and not cell.column.nullable)


@dataclass(frozen=True, slots=True)
class Proposal:
    """The views, in the contract's order; `absent` are the relations for which no table was found."""

    views: tuple[View, ...]
    absent: tuple[Relation, ...]

    def view(self, relation: str) -> View:
        """The view of a relation. Raises KeyError where none is proposed."""
        found = next((view for view in self.views if view.relation.name == relation), None)
        if found is None:
            raise KeyError(relation)
        return found

    @property
    def complete(self) -> bool:
        """Whether every relation, and every column that the contract demands, has a source."""
        return not self.absent and not any(view.lacks for view in self.views)


def propose(tables: Sequence[Table], *, account: str = "") -> Proposal:
    """Propose the views from what was found. `account` stands for the account where no column names one.

    A table scores 40 for its name, less the further down in the synonyms it stands, and 60 for the share of the
    demanded columns that have a source, each by how sure it is; one below 50, or without the marks of its kind, is
    not proposed. Equal scores: the table of the name that comes first in the alphabet.
    """
    complete = with_implied(sorted(tables, key=lambda table: (table.schema, table.name)))
    by_name = {table.name: table for table in complete}
    views, absent = [], []
    for relation in RELATIONS:
        drafts = [drafted(relation, table, by_name, account) for table in complete]
        best = max(drafts, key=lambda view: view.score, default=None)
        if best is None or best.score < LEAST_SCORE:
            absent.append(relation)
        else:
            views.append(best)
    return Proposal(tuple(views), tuple(absent))


def drafted(relation: Relation, table: Table, tables: Mapping[str, Table], account: str) -> View:
    """The view as it would be if this table were the one."""
    source = Source(relation, table, tables, account)
    cells, joins = completed(source, matched(source))
    by_name = {cell.column.name: cell for cell in cells}
    has_marks = all(any(by_name[name].sql for name in group) for group in MARKS[relation.name])
    demanded = [cell.score for cell in cells if not cell.column.nullable]
    score = round(COLUMNS_SCORE * sum(demanded) / (100 * len(demanded))) + _name_score(relation, table)
    return View(relation, table, cells, joins, score if has_marks else 0)


def _name_score(relation: Relation, table: Table) -> int:
    names = table_names(relation.name)
    name = plain(table.name)
    return NAME_SCORE - 2 * names.index(name) if name in names else 0
