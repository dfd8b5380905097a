"""From a user's own tables to the seven views of the contract: proposed, tried on the data, written as one SQL file."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandParser

from audits.mapping.hosted import read_described
from audits.mapping.postgres import read_tables, reading, with_words
from audits.mapping.proposing import Proposal, propose
from audits.mapping.trying import DIFFERS, Tried, tried
from audits.mapping.writing import needing, told, written
from audits.sources import LedgerUnreadable

PASSED, FAILED, CANNOT_START, INCONCLUSIVE = 0, 1, 2, 3
MARKS = {"agrees": "●", "differs": "■", "not seen": "◇"}
UNTRIED = "Over HTTP views cannot be tried before they exist: run the file, expose the schema, then run_manual_audit."


class CannotMapError(Exception):
    """An option cannot be followed; the message says which and what to give."""


class Command(BaseCommand):
    help = "Propose the seven views of the ledger contract for a ledger of your own; never writes to it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", required=True, help="postgresql://…, https://… of a Supabase, or env:NAME")
        parser.add_argument("--key", default="env:SUPABASE_KEY", help="of a hosted ledger, as env:NAME (SUPABASE_KEY)")
        parser.add_argument("--schema", default="", help="where your tables are (all schemas; public of a hosted one)")
        parser.add_argument("--views", default="wartest", help="the schema for the views (wartest)")
        parser.add_argument("--account", default="", help="the broker's account id, where no column of yours names it")
        parser.add_argument("--out", default="wartest-views.sql", help="the file to write (wartest-views.sql)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0: all there and it agrees; 1: the data differ; 2: could not start; 3: something is missing."""
        try:
            out = _new_file(Path(options["out"]))
            proposal, lines = _mapped(options)
            self._tell(proposal, lines)
            place = _described(_address(options["url"], "--url"))
            out.write_text(written(proposal, ledger=place, schema=options["views"], file=out.name), "utf-8")
        except (CannotMapError, LedgerUnreadable, OSError) as error:
            self.stderr.write(str(error))
            sys.exit(CANNOT_START)
        self.stdout.write(str(out))
        if any(line.outcome == DIFFERS for line in lines):
            sys.exit(FAILED)
        seen = lines and all(line.outcome == "agrees" for line in lines)
        sys.exit(PASSED if proposal.complete and seen else INCONCLUSIVE)

    def _tell(self, proposal: Proposal, lines: Sequence[Tried]) -> None:
        self.stdout.write("Views:")
        for view in proposal.views:
            table = f"{view.table.schema}.{view.table.name}"
            self.stdout.write(f"  {view.relation.name} ← {table} (score {view.score})")
            for cell in view.cells:
                if cell.made or cell.remark or (cell.sql is None and not cell.column.nullable):
                    self.stdout.write(f"    {cell.column.name}: {told(view.relation, cell)}")
        for relation in proposal.absent:
            self.stdout.write(f"  {relation.name}: no table was found; without it inconclusive are:")
            self.stdout.write(f"    {', '.join(needing(relation.name))}")
        self.stdout.write("Tried on the data, read-only:" if lines else UNTRIED)
        for line in lines:
            self.stdout.write(f"  {MARKS[line.outcome]} {line.name}: {line.outcome}; {line.words}")


def _mapped(options: dict[str, Any]) -> tuple[Proposal, list[Tried]]:
    """Read, propose and try. Raises LedgerUnreadable, CannotMapError."""
    address = _address(options["url"], "--url")
    scheme = urlsplit(address).scheme
    if scheme in ("http", "https"):
        tables = read_described(address, _address(options["key"], "--key"), schema=options["schema"] or "public")
        return propose(tables, account=options["account"]), []
    if scheme not in ("postgresql", "postgres"):
        raise CannotMapError("--url must be postgresql://…, the https://… of a Supabase, or env:NAME of such a one.")
    with reading(address) as connection:
        tables = read_tables(connection, schema=options["schema"], views=options["views"])
        proposal = propose(with_words(connection, tables), account=options["account"])
        return proposal, list(tried(connection, proposal))


def _address(value: str, option: str) -> str:
    """What an option says, or the variable that it names. Raises CannotMapError."""
    if not value.startswith("env:"):
        if option == "--key":
            raise CannotMapError("--key names a variable, as env:SUPABASE_KEY: a key on a command line is read by all.")
        return value
    name = value.removeprefix("env:")
    found = os.environ.get(name, "")
    if not found:
        raise CannotMapError(f"{option} names the variable {name}, which is not set: set it.")
    return found


def _described(address: str) -> str:
    """Where a ledger is, without user and password."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _new_file(path: Path) -> Path:
    """Raises CannotMapError where a file is there already: it may hold what somebody wrote."""
    if path.exists():
        raise CannotMapError(f"{path} exists, and may hold your changes: move it away, or give another --out.")
    if not path.parent.is_dir():
        raise CannotMapError(f"There is no folder {path.parent}: make it, or give another --out.")
    return path
