"""A ledger in a folder: one Parquet or CSV file for each relation, as an export leaves them.

CSV as PostgreSQL writes it: a header, commas, double quotes; an empty field is null, a quoted empty one is text.
"""

import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from audits.contract import Relation
from audits.sources import LedgerUnreadable

BATCH_ROWS = 65_536
_ENDINGS = (".parquet", ".csv", ".csv.gz")


class FolderLedger:
    """The ledger that lies in `folder` as `<relation>.parquet`, `.csv` or `.csv.gz`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def describe(self) -> str:
        """Return the folder's name."""
        return f"folder {self._folder.name}"

    @contextmanager
    def at_one_moment(self, relations: Sequence[Relation]) -> Iterator["FolderMoment"]:
        """Open the files and compare their headers with the contract.

        Raises LedgerUnreadable where a file is missing, there twice or broken, or lacks a column.
        """
        if not self._folder.is_dir():
            raise LedgerUnreadable(f"{self._folder} is no folder: name one with a file for each relation.")
        paths = {relation.name: self._path(relation) for relation in relations}
        moment = FolderMoment(paths)
        for relation in relations:
            moment.demand(relation)
        yield moment

    def _path(self, relation: Relation) -> Path:
        found = [path for ending in _ENDINGS if (path := self._folder / f"{relation.name}{ending}").is_file()]
        if not found:
            raise LedgerUnreadable(f"{self._folder} has no {relation.name}.parquet or {relation.name}.csv.")
        if len(found) > 1:
            names = " and ".join(path.name for path in found)
            raise LedgerUnreadable(f"{self._folder} has both {names}: leave one of them.")
        return found[0]


class FolderMoment:
    """The files as they lie there; their moment is that of the newest file."""

    def __init__(self, paths: dict[str, Path]) -> None:
        self._paths = paths

    @property
    def moment(self) -> datetime:
        """When the newest of the files was written."""
        return datetime.fromtimestamp(max(path.stat().st_mtime for path in self._paths.values()), UTC)

    @property
    def caveat(self) -> str:
        """That nothing tells whether the files were written at one moment."""
        return "the ledger was read from files; whether they are of one moment is for their export to know"

    def demand(self, relation: Relation) -> None:
        """Raise LedgerUnreadable where the file's header is not the contract's; more columns are allowed."""
        path = self._paths[relation.name]
        header = self._header(path)
        for column in relation.columns:
            if header.count(column.name) != 1:
                how = "has no column" if column.name not in header else "has twice the column"
                raise LedgerUnreadable(f"{path.name} {how} {column.name}: the contract has it once.")

    def count(self, relation: Relation) -> int:
        """Return how many rows the file has."""
        path = self._paths[relation.name]
        if path.suffix == ".parquet":
            return int(pq.read_metadata(path).num_rows)
        with _reading(path):
            return sum(batch.num_rows for batch in _csv(path, [relation.key]))

    def last_number(self, relation: Relation, column: str, account_id: str | None) -> int | None:
        """Return the largest whole number among the texts of a column, of one account or of all."""
        last: int | None = None
        for batch in self._batches(relation, [column, "account_id"]):
            texts = pc.cast(batch.column(column), pa.string())
            wanted = pc.match_substring_regex(texts, "^[0-9]{1,18}$")
            if account_id is not None:
                wanted = pc.and_(wanted, pc.equal(pc.cast(batch.column("account_id"), pa.string()), account_id))
            largest = pc.max(pc.cast(pc.filter(texts, wanted), pa.int64())).as_py()
            last = largest if last is None else max(last, largest or 0)
        return last

    def rows(self, relation: Relation) -> Iterator[pa.Table]:
        """Yield the rows as Arrow tables: texts from CSV, the file's own types from Parquet."""
        yield from self._batches(relation, [column.name for column in relation.columns])

    def _batches(self, relation: Relation, columns: list[str]) -> Iterator[pa.Table]:
        path = self._paths[relation.name]
        with _reading(path):
            if path.suffix == ".parquet":
                with pq.ParquetFile(path) as file:
                    for batch in file.iter_batches(BATCH_ROWS, columns=columns):
                        yield pa.Table.from_batches([batch])
            else:
                for batch in _csv(path, columns):
                    yield pa.Table.from_batches([batch])

    def _header(self, path: Path) -> list[str]:
        with _reading(path):
            if path.suffix == ".parquet":
                return list(pq.read_schema(path).names)
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                table = pa_csv.read_csv(pa.py_buffer(file.readline(1 << 20)))
            return list(table.column_names)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, EOFError, UnicodeError) as error:
        why = " ".join(str(error).split())
        raise LedgerUnreadable(f"{path.name} cannot be read: {why[:300]}.") from error


def _csv(path: Path, columns: list[str]) -> Iterator[Any]:
    """Read every column as text; what it holds is decided by the contract, never guessed."""
    options = pa_csv.ConvertOptions(
        column_types={name: pa.string() for name in columns},
        include_columns=columns,
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        null_values=[""],
    )
    parse = pa_csv.ParseOptions(newlines_in_values=True)
    with pa_csv.open_csv(path, convert_options=options, parse_options=parse) as reader:
        yield from reader
