"""Check 6: the ledger's balance is the broker's, at the same last transaction.

The broker's account belongs to the ledger's account of the same id, or the only one to the only one.
"""

from audits.checks.check import INCONCLUSIVE, Check, Rule
from audits.findings import Level

_PAIRS = """
    SELECT l.account_id, l.currency, l.balance, b.account_id AS broker_account_id, b.currency AS broker_currency,
           b.balance AS broker_balance, b.last_transaction_id
    FROM accounts l JOIN tied_pairs USING (account_id) JOIN broker_accounts b ON b.account_id = broker_account_id
"""

BROKER_BALANCE = Check(
    name="broker_balance",
    title="The ledger's balance is the broker's",
    needs=("accounts", "broker_transactions"),
    uses=("tied_pairs", "broker_accounts"),
    rows_sql=f"SELECT count(*) FROM ({_PAIRS})",
    findings_sql=f"""
        WITH pairs AS ({_PAIRS})
        SELECT 'broker balance' AS rule, plain(broker_balance) AS expected, plain(balance) AS measured,
               balance - broker_balance AS difference, account_id, broker_account_id, last_transaction_id
        FROM pairs WHERE balance IS DISTINCT FROM broker_balance
        UNION ALL
        SELECT 'broker currency', broker_currency, currency, NULL, account_id, broker_account_id, last_transaction_id
        FROM pairs WHERE currency <> broker_currency
        ORDER BY rule, account_id
    """,
    remarks_sql=f"""
        SELECT '{INCONCLUSIVE}', 'the broker''s account ' || account_id || ' is not in the ledger'
        FROM broker_accounts WHERE account_id NOT IN (SELECT broker_account_id FROM pairs)
        UNION ALL
        SELECT '{INCONCLUSIVE}', 'the broker''s books do not hold the account ' || account_id
        FROM accounts ANTI JOIN pairs USING (account_id)
    """,
    rules={
        "broker balance": Rule(
            Level.CRITICAL,
            "Account {account_id} holds {measured}, but at transaction {last_transaction_id} the broker holds "
            "{expected}.",
        ),
        "broker currency": Rule(
            Level.CRITICAL, "Account {account_id} is kept in {measured}, but at the broker in {expected}."
        ),
    },
    empty="no account of the ledger is the broker's account",
    needs_tie=True,
)
