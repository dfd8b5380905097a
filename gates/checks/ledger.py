"""Positions: what the target holds at one moment, against the broker and against its own reconciliations."""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from audits.checks import CHECKS, Check
from audits.contract import (
    ACCOUNTS,
    BALANCE_EVENTS,
    BROKER_ACCOUNT,
    BROKER_TRADES,
    EXECUTIONS,
    POSITIONS,
    RECONCILIATIONS,
)
from audits.findings import Finding
from audits.judge import CheckResult, judge
from audits.relation_files import SnapshotUnreadable
from audits.snapshot import Snapshot
from audits.sources import LedgerUnreadable
from audits.sources.oanda import BrokerError, OandaReader
from audits.transactions import TransactionUnreadable
from audits.verdicts import Verdict, merge
from gates.checks.books import Row, raw_of, rows_of, snapshot_of
from gates.checks.margin import PricesUnseenError, margin_findings, price_spans
from gates.checks.outcome import Outcome
from gates.checks.reconciliations import Reconciled, judge_reconciliations
from gates.targets.access import Access

COMPARED = (ACCOUNTS, POSITIONS, EXECUTIONS, BALANCE_EVENTS, RECONCILIATIONS)
# Books are valued a moment after they are booked; in between, their margin is that of the transaction before.
VALUED_WITHIN_S = 12.0
VALUED_PAUSE_S = 1.0


def named(*names: str) -> tuple[Check, ...]:
    """Return the audit's checks of these names. Raises KeyError for a name that no check has."""
    known = {check.name: check for check in CHECKS}
    return tuple(known[name] for name in names)


POSITION_CHECKS = named("positions", "broker_balance")


@dataclass(frozen=True, slots=True)
class Reconciling:
    """Which of the target's own reconciliations count: those since the run's start, `known` ones reported before."""

    since: datetime
    limit_ms: int
    known: Collection[str]


def positions(access: Access, reconciling: Reconciling) -> Outcome:
    """Compare open positions, balance and margin with the broker's, both ways, at the same last transaction; and read
    what the target's own reconciliations have found since the run began."""
    with reader_of(access) as broker, snapshot_of(access, broker, COMPARED) as snapshot:
        results = judge(snapshot.directory, POSITION_CHECKS).results
        reconciled = _reconciled(snapshot, reconciling)
        measured = measured_of(snapshot, results) | {
            "reconciliations": reconciled.count,
            "reconciliation_mismatches": reconciled.mismatches,
            "reconciliation_slowest_ms": None if reconciled.slowest_ms is None else float(reconciled.slowest_ms),
        }
        margin, reason = _margin(access, broker, snapshot)
    return outcome_of(results, measured, (*margin, *reconciled.findings), reason)


def reader_of(access: Access) -> OandaReader:
    """Return the reader of the target's broker account; close it."""
    return OandaReader(access.broker_url, access.broker_account, access.broker_token)


def outcome_of(
    results: Iterable[CheckResult], measured: Row, more: tuple[Finding, ...] = (), reason: str = ""
) -> Outcome:
    """Merge the checks' verdicts with `more` findings, and with `reason` when something could not be compared."""
    results = tuple(results)
    findings = (*(found for result in results for found in result.findings), *more)
    verdicts = [result.verdict for result in results]
    verdicts += [Verdict.FAILED] * bool(more) + [Verdict.INCONCLUSIVE] * bool(reason)
    reasons = [_sentence(result) for result in results if result.reason] + [reason] * bool(reason)
    verdict = merge(verdicts)
    if verdict == Verdict.FAILED and findings:
        reasons.insert(0, findings[0].sentence)
    return Outcome(verdict, reasons[0] if reasons and verdict != Verdict.PASSED else "", measured, findings)


def _sentence(result: CheckResult) -> str:
    return f"{result.title}: {result.reason.rstrip('.')}."


def _reconciled(snapshot: Snapshot, reconciling: Reconciling) -> Reconciled:
    rows = rows_of(snapshot, RECONCILIATIONS, since=("started_at", reconciling.since))
    account_ids = {str(account["account_id"]) for account in _own_accounts(snapshot)}
    mine = [row for row in rows if row["account_id"] in account_ids]
    return judge_reconciliations(mine, limit_ms=reconciling.limit_ms, known=reconciling.known)


def _margin(access: Access, broker: OandaReader, snapshot: Snapshot) -> tuple[tuple[Finding, ...], str]:
    """Compare margins, again for a while where they differ: books may be booked and not yet valued.

    Returns the findings of the last look, or why nothing could be compared.
    """
    ends = time.monotonic() + VALUED_WITHIN_S
    try:
        findings, reason = _compare_margin(broker, snapshot)
        while findings and time.monotonic() < ends:
            time.sleep(VALUED_PAUSE_S)
            with snapshot_of(access, broker, COMPARED) as fresh:
                findings, reason = _compare_margin(broker, fresh)
    except (PricesUnseenError, BrokerError, LedgerUnreadable, SnapshotUnreadable, TransactionUnreadable) as why:
        return (), f"Margin could not be compared: {why}"  # what else this slot found still counts
    return findings, reason


def _compare_margin(broker: OandaReader, snapshot: Snapshot) -> tuple[tuple[Finding, ...], str]:
    if not snapshot.tied:
        return (), f"Margin cannot be compared: {snapshot.tie.reason}."
    accounts = _own_accounts(snapshot)
    if len(accounts) != 1:
        return (), "Margin cannot be compared: no account of the ledger is the broker's account."
    (books,) = accounts
    if books["margin_used"] is None:
        return (), "Margin cannot be compared: the ledger keeps none (accounts.margin_used is null)."
    (account,) = raw_of(snapshot, BROKER_ACCOUNT)
    trades = raw_of(snapshot, BROKER_TRADES)
    spans = price_spans(broker, trades, str(account["currency"]), datetime.now(UTC))
    held = [row for row in rows_of(snapshot, POSITIONS) if row["status"] == "open"]
    return margin_findings(books, held, account | {"trades": trades}, spans), ""


def _own_accounts(snapshot: Snapshot) -> list[Row]:
    """Return the ledger's account of the broker's id, or its only account."""
    accounts = rows_of(snapshot, ACCOUNTS)
    (theirs,) = rows_of(snapshot, BROKER_ACCOUNT)
    return accounts if len(accounts) == 1 else [row for row in accounts if row["account_id"] == theirs["account_id"]]


def measured_of(snapshot: Snapshot, results: Iterable[CheckResult]) -> dict[str, Any]:
    """What both books say of this one moment; money as text."""
    (account,) = rows_of(snapshot, BROKER_ACCOUNT)
    own = next(iter(_own_accounts(snapshot)), {})
    return {
        "checks": [
            {"name": result.name, "verdict": result.verdict, "rows": result.rows, "findings": result.finding_count}
            for result in results
        ],
        "last_transaction_id": snapshot.last_transaction_id,
        "ledger_balance": _plain(own.get("balance")),
        "broker_balance": _plain(account["balance"]),
        "broker_open_trades": account["open_trade_count"],
        "ledger_margin_used": _plain(own.get("margin_used")),
        "broker_margin_used": _plain(account["margin_used"]),
        "tie_waited_s": snapshot.tie.waited_s,
    }


def _plain(amount: Any) -> str | None:
    """Return an exact amount as text with at least 4 decimals, as brokers write it, and no idle zeros beyond."""
    if amount is None:
        return None
    whole, _, fraction = f"{amount:f}".partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(4, '0')}"
