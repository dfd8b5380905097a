"""Broker statements: transactions in JSON files, as OANDA's interface gives them. Numbers stay as they were written.

A file, plain or gzipped, holds a list of transactions, objects with a `transactions` list (and perhaps the `account`),
or one of these a line. Where no account is in the files, it is derived from the last transaction.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from audits.sources import BrokerError
from audits.statement_accounts import derived_account
from audits.transactions import Record, TransactionUnreadable, number_of, whole

MAX_BYTES = 2 * 1024**3  # of one file, unpacked
_GZIP = b"\x1f\x8b"


class StatementUnreadable(BrokerError):  # noqa: N818  reads as what is wrong
    """A statement is not JSON, not whole, or says something twice; one sentence names file, account and transaction."""


@dataclass(frozen=True, slots=True)
class StatementAccount:
    """One account of a statement, read as a broker. `files` are the names of the files that it came from."""

    files: tuple[str, ...]
    record: dict[str, Any]
    records: tuple[dict[str, Any], ...] = field(repr=False)

    def describe(self) -> str:
        """Return the files and the account; says where the account was derived from its transactions."""
        derived = ", derived from its transactions" if self.record.get("derived") else ""
        return f"statement {', '.join(self.files)} account {self.record['id']}{derived}"

    def account(self) -> dict[str, Any]:
        """Return the account: as the statement has it, or derived from the last transaction."""
        return self.record

    def transactions(self, since_id: int = 0) -> list[dict[str, Any]]:
        """Return the transactions after `since_id`, in order."""
        return [record for record in self.records if number_of(record) > since_id]


def read_statement(paths: Sequence[Path]) -> tuple[StatementAccount, ...]:
    """Read the files as one statement: one broker for each account in it, by account id.

    Raises StatementUnreadable for a file that is missing, cut off or no JSON, a transaction without id, account or
    type, one that comes twice, a gap between ids, and a statement that ends before the account's last transaction.
    """
    found = _Found({}, {}, {})
    for path in paths:
        for part in _parts(path):
            _sort_in(found, part, path.name)
    if not found.records:
        names = ", ".join(path.name for path in paths) or "No file"
        raise StatementUnreadable(f"{names}: there is no transaction in the statement.")
    try:
        return tuple(_account(found, account_id) for account_id in sorted(found.records))
    except TransactionUnreadable as error:
        raise StatementUnreadable(f"The statement cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class _Found:
    """What the files hold, by account: its transactions by number with their file, and the account's own record."""

    records: dict[str, dict[int, tuple[dict[str, Any], str]]]
    accounts: dict[str, dict[str, Any]]
    files: dict[str, list[str]]


def _account(found: _Found, account_id: str) -> StatementAccount:
    by_number = found.records[account_id]
    numbers = sorted(by_number)
    for before, number in pairwise(numbers):
        if number != before + 1:
            raise StatementUnreadable(
                f"The statement of account {account_id} has a gap: after transaction {before} comes {number}; "
                "export it whole."
            )
    records = tuple(by_number[number][0] for number in numbers)
    account = found.accounts.get(account_id)
    if account is None:
        account = derived_account(account_id, records)
    elif whole(account, "lastTransactionID") > numbers[-1]:
        raise StatementUnreadable(
            f"The statement of account {account_id} ends at transaction {numbers[-1]}, but its account is of "
            f"transaction {account['lastTransactionID']}; export the rest."
        )
    return StatementAccount(tuple(found.files[account_id]), account, records)


def _sort_in(found: _Found, part: Any, file: str) -> None:
    """Sort one part of a file, a list or an object, into its accounts."""
    if isinstance(part, list):
        for each in part:
            if isinstance(each, dict) and "transactions" in each:
                _sort_object(found, each, file)
            else:
                _sort_transactions(found, [each], None, file)
    elif not isinstance(part, dict):
        raise StatementUnreadable(f"{file} holds {type(part).__name__}, not transactions.")
    elif part.get("type") == "HEARTBEAT":  # a line of a recorded stream
        return
    elif "transactions" not in part and "account" not in part:
        _sort_transactions(found, [part], None, file)
    else:
        _sort_object(found, part, file)


def _sort_object(found: _Found, part: dict[str, Any], file: str) -> None:
    """Sort an object with transactions, an account, or both."""
    account = part.get("account")
    account_id = None
    if account is not None:
        if not isinstance(account, dict) or not account.get("id"):
            raise StatementUnreadable(f"{file} holds an account without an id.")
        account_id = str(account["id"])
        known = found.accounts.get(account_id)
        if known is None or whole(account, "lastTransactionID") > whole(known, "lastTransactionID"):
            found.accounts[account_id] = account
    transactions = part.get("transactions", [])
    if not isinstance(transactions, list):
        raise StatementUnreadable(f"{file} holds transactions that are no list.")
    _sort_transactions(found, transactions, account_id, file)


def _sort_transactions(found: _Found, records: Iterable[Any], account_id: str | None, file: str) -> None:
    for record in records:
        if not isinstance(record, dict):
            raise StatementUnreadable(f"{file} holds {record!r:.80} among its transactions.")
        number = _number(record, file)
        owner = record.get("accountID") or account_id
        if not owner:
            raise StatementUnreadable(f"{file}: transaction {number} names no accountID.")
        mine = found.records.setdefault(str(owner), {})
        if number in mine:
            raise StatementUnreadable(
                f"Transaction {number} of account {owner} is in the statement twice: "
                f"in {mine[number][1]} and in {file}."
            )
        mine[number] = (record, file)
        files = found.files.setdefault(str(owner), [])
        if file not in files:
            files.append(file)


def _number(record: Record, file: str) -> int:
    try:
        for name in ("type", "time"):
            if not isinstance(record.get(name), str):
                raise StatementUnreadable(f"{file}: transaction {record.get('id', '?')} has no {name}.")
        return number_of(record)
    except TransactionUnreadable as error:
        raise StatementUnreadable(f"{file}: {error}") from error


def _parts(path: Path) -> Iterator[Any]:
    """Yield the JSON values in a file: one, or one a line."""
    content = _content(path)
    try:
        yield _parsed(content)
    except ValueError as error:
        lines = [line for line in content.splitlines() if line.strip()]
        if len(lines) < 2 or not _is_json(lines[0]):
            raise _no_json(path, error) from error
        for number, line in enumerate(lines, start=1):
            try:
                yield _parsed(line)
            except ValueError as broken:
                raise _no_json(path, broken, f"line {number} of ") from broken


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
        with gzip.open(path) if packed else path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise StatementUnreadable(f"{path.name} is cut off or no whole gzip file: {error}.") from error
    except OSError as error:
        raise StatementUnreadable(f"{path} cannot be read: {error.strerror}.") from error
    if len(content) > MAX_BYTES:
        raise StatementUnreadable(f"{path.name} is larger than 2 GiB: split it into several files.")
    return content


def _no_json(path: Path, error: ValueError, where: str = "") -> StatementUnreadable:
    return StatementUnreadable(f"{where}{path.name} is cut off or no JSON: {error}.")


def _is_json(line: bytes) -> bool:
    try:
        _parsed(line)
    except ValueError:
        return False
    return True


def _parsed(content: bytes) -> Any:
    """Parse JSON; a fraction becomes an exact decimal, and NaN, or a name that comes twice in an object, is no JSON."""
    text = content.decode("utf-8-sig")
    return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_unique)


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} comes twice in one object")
    return found
