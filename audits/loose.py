"""Loose books: ledger and broker of one moment in memory, judged as a snapshot is and then forgotten.

For small books that nobody keeps, such as a cell's after a strike: most of the time of a small audit goes into its
files. What is read, what is demanded of it and what judges it are a snapshot's own. They cannot be judged again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from audits.broker_books import broker_rows
from audits.contract import RELATIONS, Relation
from audits.exact_columns import schema_of, table_from_columns, table_from_rows
from audits.relation_files import Batch
from audits.snapshot import Reading, demand_whole, tied_reading
from audits.sources import Broker, Ledger
from audits.tie import Tie

MOST_ROWS = 20_000  # more are better kept in files


class TooManyRowsError(Exception):
    """The ledger is too large to be held loose: take a snapshot of it."""


@dataclass(frozen=True, slots=True)
class Loose:
    """Books of one moment. `moment` is the ledger's, `last_transaction_id` the broker's ("" without a broker)."""

    moment: datetime
    broker: str
    last_transaction_id: str
    tie: Tie
    relations: Mapping[str, pa.Table]
    made: tuple[str, ...] = ()

    @property
    def tied(self) -> bool:
        """Whether ledger and broker are of the same last transaction."""
        return self.tie.tied

    def may_be_null(self, name: str) -> set[str]:
        """The columns of a relation that hold nulls."""
        table = self.relations[name]
        return {column for column in table.column_names if table.column(column).null_count}


def read_loose(ledger: Ledger, broker: Broker | None, *, tie_limit_s: float = 5.0) -> Loose:
    """Read ledger and broker as `take_snapshot` does, with its exceptions, and TooManyRowsError."""
    with tied_reading(ledger, broker, RELATIONS, tie_limit_s=tie_limit_s) as reading:
        tables = {relation.name: _ledger_table(reading, relation) for relation in reading.relations}
        for relation, batches in broker_rows(reading.books).items() if reading.books else ():
            tables[relation.name] = _table(relation, batches)
        return Loose(
            moment=reading.moment.moment,
            broker="; ".join(each.describe() for each in reading.brokers),
            last_transaction_id=", ".join(books.last_transaction_id for books in reading.books),
            tie=reading.tie,
            relations=tables,
            made=reading.made,
        )


def _ledger_table(reading: Reading, relation: Relation) -> pa.Table:
    expected = reading.moment.count(relation)
    if expected > MOST_ROWS:
        raise TooManyRowsError(f"{relation.name} has {expected} rows; {MOST_ROWS} can be held loose.")
    table = _table(relation, list(reading.moment.rows(relation)))
    demand_whole(relation, expected, table.num_rows)
    return table


def _table(relation: Relation, batches: Sequence[Batch]) -> pa.Table:
    """Every value exactly as it was; raises SnapshotUnreadable, naming the row, for one that is not."""
    tables = [
        table_from_columns(relation, batch) if isinstance(batch, pa.Table) else table_from_rows(relation, batch)
        for batch in batches
        if len(batch)
    ]
    return pa.concat_tables(tables) if tables else schema_of(relation).empty_table()
