"""Gate 3 from a terminal: of a target, of any ledger, or of a sealed snapshot without any database."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_aware

from audits.relation_files import SnapshotUnreadable
from audits.sources import BrokerError, LedgerUnreachable, LedgerUnreadable
from audits.sources.statement import StatementUnreadable
from gates.ledger_audit import terminal
from gates.ledger_audit.alone import Part
from gates.ledger_audit.commands import CannotAuditError
from gates.ledger_audit.plans import UnknownCheckError, audit_plan_for, checks_named
from gates.plans import UnknownProfileError
from gates.targets.access import TargetUnreachableError
from wartest_site.embedded.children import CannotStartError
from wartest_site.manual_audit import Wish, audit_ledger, audit_snapshot, audit_target
from wartest_site.report_folders import demand_writable

EXIT_CODES = {"passed": 0, "failed": 1, "inconclusive": 3}
CANNOT_START = 2


class WrongOptionError(Exception):
    """An option has no meaning; the message says which and what to give."""


BAD_START = (
    *(WrongOptionError, CannotAuditError, CannotStartError, TargetUnreachableError, StatementUnreadable),
    *(UnknownCheckError, UnknownProfileError, LedgerUnreachable),
)
UNREADABLE = (LedgerUnreadable, BrokerError, SnapshotUnreadable)


class Command(BaseCommand):
    help = "Audit a ledger: balances, coverage, PnL and every other rule, exact to the last digit."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--target", help="name of the target (default: rehearsal)")
        parser.add_argument("--profile", help="production (default for a target), rehearsal or smoke")
        parser.add_argument("--reports-dir", default="reports", help="folder for the report")
        parser.add_argument("--ledger", metavar="URL", help="a ledger: postgresql://…, env:NAME, or a folder")
        parser.add_argument("--schema", default="wartest", help="the schema of the ledger's relations (wartest)")
        parser.add_argument(
            "--transactions", nargs="+", default=[], metavar="FILE", help="the broker's statement, JSON"
        )
        parser.add_argument("--snapshot", metavar="DIR", help="a sealed snapshot, folder or zip: needs no database")
        parser.add_argument("--only", metavar="CHECK[,CHECK]", help="some checks only; never counts as gate 3")
        parser.add_argument(
            "--since", metavar="TIME", help="findings since then only, as 2026-11-22T12:00Z; never counts"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 passed, 1 failed, 2 could not start, 3 inconclusive; books that cannot be read are inconclusive."""
        try:
            verdict = _audit(options)
        except BAD_START as error:
            self.stderr.write(str(error))
            sys.exit(CANNOT_START)
        except UNREADABLE as error:
            self.stderr.write(f"{error} Nothing was judged, so the audit is inconclusive.")
            sys.exit(EXIT_CODES["inconclusive"])
        sys.exit(EXIT_CODES[verdict])


def _audit(options: dict[str, Any]) -> str:
    if sum(bool(options[name]) for name in ("target", "ledger", "snapshot")) > 1:
        raise WrongOptionError("Give one of --target, --ledger and --snapshot: an audit is of one set of books.")
    if options["transactions"] and not options["ledger"]:
        raise WrongOptionError("--transactions belongs to --ledger: a target has its broker, a snapshot holds its own.")
    if options["profile"]:
        audit_plan_for(options["profile"])
    only = checks_named([name for name in (options["only"] or "").split(",") if name])
    part = Part(only, _moment(options["since"]))
    wish = Wish(part, options["profile"], demand_writable(Path(options["reports_dir"])))
    out = terminal.console()
    if options["snapshot"]:
        return audit_snapshot(Path(options["snapshot"]), wish, out)
    if options["ledger"]:
        return audit_ledger(options, wish, out)
    return audit_target(options["target"] or "rehearsal", wish, out)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or not is_aware(moment):
        raise WrongOptionError(f"--since {text!r} is no time with a zone: write it as 2026-11-22T12:00Z.")
    return moment
