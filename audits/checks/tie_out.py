"""Check 4: each broker transaction that moves money is in the ledger with the same sum, and the other way round.

Compared from the transaction on at which the ledger's opening balance was the broker's: what came before is in it.
"""

from audits.checks.check import INCONCLUSIVE, Check, Rule
from audits.findings import Level

TIE_OUT = Check(
    name="tie_out",
    title="Each broker transaction that moves money is booked once, with the same sum",
    needs=("accounts", "balance_events", "broker_transactions"),
    uses=("flows", "starts", "broker_accounts", "pairs"),
    rows_sql="""
        SELECT (SELECT coalesce(sum(moves), 0) FROM flows f JOIN starts s ON f.account_id = s.broker_account_id)
             + (SELECT count(*) FROM balance_events SEMI JOIN starts USING (account_id))
    """,
    findings_sql="""
        WITH moved AS (
            SELECT s.account_id, id, change FROM changes c JOIN starts s ON c.account_id = s.broker_account_id
            WHERE change <> 0 OR account_balance IS NOT NULL
        ), booked AS (
            SELECT account_id, broker_transaction_id AS id, sum(amount) AS booked
            FROM balance_events SEMI JOIN starts USING (account_id) WHERE broker_transaction_id IS NOT NULL
            GROUP BY ALL
        ), sums AS (
            SELECT account_id, id, coalesce(max(change), 0) AS moved, any_value(booked) AS booked
            FROM moved FULL JOIN booked USING (account_id, id)
            WHERE change IS NULL OR change <> coalesce(booked, 0) GROUP BY ALL
        ), named AS (
            SELECT account_id, broker_transaction_id AS id, min(event_id) AS event_id
            FROM balance_events b SEMI JOIN sums s ON b.account_id = s.account_id AND b.broker_transaction_id = s.id
            GROUP BY ALL
        ), unequal AS (
            SELECT u.*, event_id, s.first_number, t.id AS broker_id,
                   t.type, number(u.id) > coalesce(opened_after, -1) AS is_due
            FROM sums u JOIN starts s USING (account_id) LEFT JOIN named USING (account_id, id)
            LEFT JOIN broker_transactions t ON t.account_id = s.broker_account_id AND t.id = u.id
        ), found AS (
            SELECT 'transaction not booked' AS rule, plain(moved) AS expected, 'nothing' AS measured,
                   -moved AS difference, account_id, id AS transaction_id, type, NULL AS event_id
            FROM unequal WHERE booked IS NULL AND is_due
            UNION ALL
            SELECT 'transaction booked with another sum', plain(moved), plain(booked), booked - moved, account_id, id,
                   type, event_id
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
              AND account_id NOT IN (SELECT account_id FROM balance_events GROUP BY ALL
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
            Level.CRITICAL,
            "The broker's transaction {transaction_id} ({type}) moved {expected}, but account {account_id} has no "
            "balance event of it.",
        ),
        "transaction booked with another sum": Rule(
            Level.CRITICAL,
            "The broker's transaction {transaction_id} ({type}) moved {expected}, but account {account_id} booked "
            "{measured} for it.",
        ),
        "booked, unknown to the broker": Rule(
            Level.CRITICAL,
            "Balance event {event_id} of account {account_id} names the transaction {transaction_id}, which the broker "
            "does not have.",
        ),
        "booked without transaction": Rule(
            Level.CRITICAL,
            "Balance event {event_id} ({type}) moves {difference} on account {account_id}, but names no transaction "
            "of the broker.",
        ),
    },
    empty="no account of the ledger is the broker's, or neither of them moved money",
    needs_tie=True,
)
