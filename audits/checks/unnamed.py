"""Part of check 12: no execution goes without naming the broker's fill, where its account's executions name them."""

from audits.checks.check import NOTE, Rule
from audits.checks.protection import LIMIT_S
from audits.findings import Level

# Not those from before the broker's first transaction, nor of the last seconds: a fill may be named a moment later.
UNNAMED_SQL = f"""
    SELECT 'execution without transaction', 'a fill of the broker', 'none named', units, 'executions', execution_id,
           order_id
    FROM executions e JOIN starts USING (account_id) JOIN (
        SELECT account_id AS broker_account_id, min(time) AS told_since FROM broker_transactions GROUP BY ALL
    ) USING (broker_account_id)
    WHERE broker_transaction_id IS NULL
      AND executed_at BETWEEN told_since AND (SELECT moment FROM this) - INTERVAL {LIMIT_S} SECOND
      AND account_id IN (SELECT account_id FROM executions GROUP BY 1 HAVING count(broker_transaction_id) > 0)
"""

UNNAMED_REMARKS_SQL = f"""
    SELECT '{NOTE}', 'no execution of account ' || account_id || ' names the broker''s transaction: executions and '
           || 'fills were not compared one by one'
    FROM executions SEMI JOIN starts USING (account_id) GROUP BY account_id HAVING count(broker_transaction_id) = 0
"""

UNNAMED_RULES = {
    "execution without transaction": Rule(
        Level.CRITICAL,
        "Execution {key} dealt {difference} units, but names no fill of the broker, as others of its account do.",
    ),
}
