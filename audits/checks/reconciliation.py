"""Check 18: the target's own reconciliations found nothing, hid nothing, and took no longer than they may."""

from audits.checks.check import INCONCLUSIVE, Check, Rule
from audits.checks.hidden import HIDDEN_RULES, HIDDEN_SQL
from audits.findings import Level

LIMIT_MS = 1000


def reconciliations(limit_ms: int = LIMIT_MS) -> Check:
    """Return the check with another limit on how long one reconciliation may take."""
    return Check(
        name="reconciliation",
        title="The target's own reconciliations found nothing",
        needs=("accounts", "reconciliations", "balance_events"),
        compares=("broker_transactions", "broker_account"),
        uses=("tied_pairs", "broker_accounts", "totals"),
        rows_sql="SELECT count(*) FROM reconciliations",
        findings_sql=f"""
            SELECT 'reconciliation mismatch' AS rule, '0' AS expected, mismatches::VARCHAR AS measured,
                   mismatches::DECIMAL(38, 18) AS difference, reconciliation_id, account_id,
                   started_at::VARCHAR AS started_at
            FROM reconciliations WHERE mismatches IS DISTINCT FROM 0
            UNION ALL
            SELECT 'reconciliation slow', 'at most {limit_ms}', plain(duration_ms), duration_ms - {limit_ms},
                   reconciliation_id, account_id, started_at::VARCHAR
            FROM reconciliations WHERE duration_ms > {limit_ms}
            UNION ALL
            SELECT 'reconciliation impossible', 'counts and a duration of 0 or more',
                   positions_checked || ' checked in ' || plain(duration_ms), duration_ms, reconciliation_id,
                       account_id,
                   started_at::VARCHAR
            FROM reconciliations WHERE positions_checked < 0 OR duration_ms < 0
            UNION ALL
            ({HIDDEN_SQL})
            ORDER BY rule, started_at, reconciliation_id
        """,
        remarks_sql=f"""
            SELECT '{INCONCLUSIVE}', 'account ' || account_id || ' was never reconciled'
            FROM accounts ANTI JOIN reconciliations USING (account_id) WHERE (SELECT count(*) FROM reconciliations) > 0
        """,
        rules={
            "reconciliation mismatch": Rule(
                Level.CRITICAL,
                "The reconciliation {reconciliation_id} of account {account_id} found {measured} mismatches.",
            ),
            "reconciliation slow": Rule(
                Level.HIGH, "The reconciliation {reconciliation_id} took {measured} ms, but may take {expected} ms."
            ),
            "reconciliation impossible": Rule(
                Level.HIGH, "The reconciliation {reconciliation_id} says {measured} ms, which cannot be."
            ),
        }
        | HIDDEN_RULES,
        empty="the ledger holds no reconciliation",
    )


RECONCILIATION = reconciliations()
