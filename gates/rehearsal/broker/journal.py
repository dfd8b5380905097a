"""The journal: every transaction as one JSON line, in a file of its account."""

import json
from collections.abc import Iterable
from pathlib import Path

from .account import Transaction
from .serialise import plain


class Journal:
    """Appends to `folder`/`account id`.jsonl; a transaction is on its way to disk before it is answered or streamed.

    Raises OSError where the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def start(self, account_id: str) -> None:
        """Begin the file of an account afresh."""
        (self._folder / f"{account_id}.jsonl").write_text("", "utf-8")

    def append(self, account_id: str, transactions: Iterable[Transaction]) -> None:
        lines = "".join(json.dumps(plain(transaction), separators=(",", ":")) + "\n" for transaction in transactions)
        with (self._folder / f"{account_id}.jsonl").open("a", encoding="utf-8") as file:
            file.write(lines)
