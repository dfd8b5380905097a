"""Where the books are read.

Ledgers: PostgreSQL (`postgres`), PostgREST (`postgrest`), a folder of files (`folder`).
Brokers: OANDA over its GET requests (`oanda`), statements in JSON files (`statement`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from audits.contract import Relation
from audits.relation_files import Batch


class LedgerUnreadable(Exception):  # noqa: N818  reads as what is wrong
    """The ledger cannot be read; one sentence names what is missing and what to do."""


class LedgerUnreachable(LedgerUnreadable):
    """Nothing answers at the ledger's address, or it lets nobody in: nothing was read, so nothing is inconclusive."""


class BrokerError(Exception):
    """The broker could not be read; one sentence says why and what to do."""


class LedgerMoment(Protocol):
    """One moment of a ledger: all reads see the same state."""

    @property
    def moment(self) -> datetime:
        """When this state was current, by the ledger's clock."""

    @property
    def caveat(self) -> str:
        """What a reader of the snapshot must know, such as that the moment is not one; "" where nothing."""

    def count(self, relation: Relation) -> int:
        """How many rows the relation has."""

    def last_number(self, relation: Relation, column: str, account_id: str | None) -> int | None:
        """The largest whole number among the texts of a column, of one account or of all; None where there is none."""

    def rows(self, relation: Relation) -> Iterator[Batch]:
        """The rows in batches: tuples in the contract's order (str, Decimal, int, aware datetime), or Arrow tables."""


@runtime_checkable
class WritesFiles(Protocol):
    """A moment that writes large relations itself, faster than row by row."""

    def write_files(self, directory: Path, counts: Mapping[Relation, int]) -> bool:
        """Write each relation to `<relation>.parquet` in the types of the contract; False where it cannot here."""


@runtime_checkable
class TellsGaps(Protocol):
    """A moment that tells what its ledger does not keep, where others would refuse the whole."""

    @property
    def lacks(self) -> Mapping[str, str]:
        """The relations asked for that are not there, each with one sentence of what to do."""

    @property
    def made(self) -> tuple[str, ...]:
        """The columns (`relation.column`) that a view makes up itself, by a comment of its own: they prove nothing."""

    @property
    def unkept(self) -> tuple[str, ...]:
        """The columns that are null because the ledger does not keep them, by a comment of the view."""


MADE = "wartest: made by the view"  # the comment on a column that the view makes up
UNKEPT = "wartest: not kept by the ledger"  # and on one that the contract demands and nothing was found for


class Ledger(Protocol):
    """A ledger that can be read as of one moment. `describe` names it without secrets."""

    def describe(self) -> str:
        """Where the ledger is, without secrets."""

    def at_one_moment(self, relations: Sequence[Relation]) -> AbstractContextManager[LedgerMoment]:
        """Open one read-only moment; raises LedgerUnreadable where a relation or column is missing."""


class Broker(Protocol):
    """A broker account that can be read."""

    def describe(self) -> str:
        """Where the account is, without secrets."""

    def account(self) -> dict[str, Any]:
        """The account with its open trades, orders and last transaction id, all of one moment."""

    def transactions(self, since_id: int = 0) -> list[dict[str, Any]]:
        """All transactions after `since_id`, in order, none missing."""


@runtime_checkable
class TellsPrices(Protocol):
    """A broker that also tells prices, of any time."""

    def time(self, instruments: Iterable[str]) -> datetime:
        """The broker's own clock."""

    def candles(self, instrument: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        """The bid and ask candles of five seconds that start within [start, end), oldest first."""
