"""Check 4: each broker transaction that moves money is in the ledger with the same sum, and the other way round.

Compared from the transaction on at which the ledger's opening balance was the broker's: it holds what came before.
"""

from audits.checks.check import INCONCLUSIVE, Check, Rule
from audits.findings import Level

TIE_OUT = Check(
    name="tie_out",
    title="Each broker transaction that moves money is booked once, with the same sum",
    needs=("accounts", "balance_events", "broker_transactions"),
    uses=("flows", "starts", "broker_accounts", "pairs", "unequal"),
    rows_sql="""
        SELECT (SELECT coalesce(sum(moves), 0) FROM flows f SEMI JOIN starts s ON f.account_id = s.broker_account_id)
             + (SELECT count(*) FROM balance_events SEMI JOIN starts USING (account_id))
    """,
    findings_sql="""
        WITH found AS (
            SELECT 'transaction not booked' AS rule, plain(moved) AS expected, 'nothing' AS measured,
                   -moved AS difference, account_id, id AS transaction_id, type, NULL AS event_id
            FROM unequal WHERE booked IS NULL AND is_due
            UNION ALL
            SELECT 'transaction booked with another sum', plain(moved), plain(booked), booked - moved, account_id,
                   id, type, event_id
            FROM unequal WHERE booked IS NOT NULL AND broker_id IS NOT NULL AND booked <> moved
            UNION ALL
            SELECT 'booked, unknown to the broker', 'a transaction ' || id, 'none', booked, account_id, id, NULL,
                   event_id
            FROM unequal WHERE broker_id IS NULL AND NOT coalesce(number(id) < first_number, false)
            UNION ALL
            SELECT 'booked without transaction', 'a broker transaction', 'none named', amount, account_id, NULL,
                   event_type, event_id
            FROM balance_events SEMI JOIN starts USING (account_id)
            WHERE broker_transaction_id IS NULL AND amount <> 0
              AND account_id NOT IN (SELECT account_id FROM balance_events GROUP BY 1
                                     HAVING count(broker_transaction_id) = 0)
        )
        FROM found ORDER BY rule, account_id, number(transaction_id), event_id
    """,
    remarks_sql=f"""
        SELECT '{INCONCLUSIVE}', 'the broker''s account ' || account_id || ' is not in the ledger'
        FROM broker_accounts WHERE account_id NOT IN (SELECT broker_account_id FROM pairs)
        UNION ALL
        SELECT '{INCONCLUSIVE}', 'the broker''s books do not hold the account ' || account_id
        FROM accounts ANTI JOIN pairs USING (account_id)
        UNION ALL
        SELECT '{INCONCLUSIVE}', 'the broker never held the opening balance of account ' || account_id
               || ': it is not known which of its transactions the ledger must hold'
        FROM starts WHERE opened_after IS NULL AND first_number IS NOT NULL
        UNION ALL
        SELECT '{INCONCLUSIVE}', CASE WHEN named = 0
               THEN 'no balance event of account ' || account_id || ' names a broker_transaction_id'
               ELSE early || ' balance events of account ' || account_id
                    || ' name transactions before the first that the broker''s books hold' END
        FROM (SELECT account_id, count(broker_transaction_id) AS named,
                     count_if(number(broker_transaction_id) < first_number) AS early
              FROM balance_events JOIN starts USING (account_id) GROUP BY account_id)
        WHERE named = 0 OR early > 0
    """,
    rules={
        "transaction not booked": Rule(
            Level.CRITICAL, "Transaction {transaction_id} ({type}) moved {expected}, but {account_id} booked nothing."
        ),
        "transaction booked with another sum": Rule(
            Level.CRITICAL,
            "The broker's transaction {transaction_id} ({type}) moved {expected}, but {account_id} booked {measured}.",
        ),
        "booked, unknown to the broker": Rule(
            Level.CRITICAL,
            "Balance event {event_id} of account {account_id} names {transaction_id}, which the broker does not have.",
        ),
        "booked without transaction": Rule(
            Level.CRITICAL,
            "Balance event {event_id} ({type}) of account {account_id} moves {difference}, but names no transaction.",
        ),
    },
    empty="no account of the ledger is the broker's, or neither of them moved money",
    needs_tie=True,
)
