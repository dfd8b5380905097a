"""Positions and integrity: the target's books at one moment, against themselves and against the broker."""

import tempfile
from pathlib import Path
from typing import Any

from audits.checks import CHECKS
from audits.judge import CheckResult, judge
from audits.snapshot import take_snapshot
from audits.sources.oanda import OandaReader
from audits.sources.postgres import PostgresLedger
from audits.verdicts import Verdict, merge
from gates.checks.outcome import Outcome
from gates.targets.access import Access

POSITION_CHECKS = tuple(check for check in CHECKS if check.name in {"positions", "broker balance"})
INTEGRITY_CHECKS = tuple(check for check in CHECKS if check.name != "positions")


def positions(access: Access) -> Outcome:
    """Compare open positions and balance with the broker's, both ways, at the same last transaction."""
    return _judged(access, POSITION_CHECKS)


def integrity(access: Access) -> Outcome:
    """Judge the ledger's balance rows, chain, total, orphans and its balance against the broker's."""
    return _judged(access, INTEGRITY_CHECKS)


def _judged(access: Access, checks: tuple[Any, ...]) -> Outcome:
    with (
        tempfile.TemporaryDirectory(prefix="wartest-slot-") as folder,
        OandaReader(access.broker_url, access.broker_account, access.broker_token) as broker,
    ):
        snapshot = take_snapshot(
            PostgresLedger(access.ledger_url, access.ledger_schema), broker, Path(folder) / "snapshot"
        )
        judgement = judge(snapshot.directory, checks)
        account = broker.account()
    findings = tuple(found for result in judgement.results for found in result.findings)
    measured = {
        "checks": [_line(result) for result in judgement.results],
        "last_transaction_id": snapshot.last_transaction_id,
        "broker_balance": str(account["balance"]),
        "broker_open_trades": account.get("openTradeCount"),
        "margin_used": str(account.get("marginUsed", "")),
    }
    verdict = merge(result.verdict for result in judgement.results)
    reasons = [result.reason for result in judgement.results if result.reason]
    if verdict == Verdict.FAILED and findings:
        reasons.insert(0, findings[0].sentence)
    return Outcome(verdict, reasons[0] if reasons and verdict != Verdict.PASSED else "", measured, findings)


def _line(result: CheckResult) -> dict[str, Any]:
    return {"name": result.name, "verdict": result.verdict, "rows": result.rows, "findings": len(result.findings)}
