"""Check 5: the broker's own balance follows from its own transactions, and each of them is of a kind that is known.

The rule, and where it comes from, stands with `changes` in audits.shared_tables.
"""

from audits.broker_words import KNOWN_FIELDS, TRANSACTION_TYPES
from audits.checks.check import INCONCLUSIVE, NOTE, Check, Rule
from audits.findings import Level

_TYPES = ", ".join(f"'{name}'" for name in sorted(TRANSACTION_TYPES))
_FIELDS = ", ".join(f"('{name}')" for name in sorted(KNOWN_FIELDS))

BROKER_CHAIN = Check(
    name="broker_chain",
    title="The broker's balance follows from its own transactions",
    needs=("broker_transactions",),
    uses=("flows", "breaks"),
    rows_sql="SELECT coalesce(sum(transactions), 0) FROM flows",
    findings_sql=f"""
        WITH unknown AS (
            SELECT DISTINCT field FROM (SELECT unnest(fields) AS field FROM (
                SELECT DISTINCT json_keys(raw) AS fields FROM broker_transactions WHERE account_balance IS NOT NULL))
            ANTI JOIN (VALUES {_FIELDS}) known(name) ON field = name
            WHERE NOT regexp_matches(field, 'I[Dd]$')
        ), found AS (
            SELECT 'broker balance chain' AS rule, plain(before + change) AS expected,
                   plain(account_balance) AS measured, account_balance - before - change AS difference, account_id, id,
                   type
            FROM breaks WHERE account_balance <> before + change AND holes = 0
            UNION ALL
            SELECT 'money moved without a balance', 'an accountBalance', 'none', change, account_id, id, type
            FROM breaks WHERE account_balance IS NULL AND change <> 0
            UNION ALL
            SELECT 'transaction twice in the statement', 'once', 'again', NULL, account_id, id, type
            FROM breaks WHERE number = before_number
            UNION ALL
            SELECT 'unknown transaction type', 'one of {len(TRANSACTION_TYPES)} known types', type, change, account_id,
                   id, type
            FROM changes WHERE type IS NULL OR type NOT IN ({_TYPES})
            UNION ALL
            SELECT 'unknown money field', 'a known field', field || ' ' || (raw ->> field), money(raw ->> field),
                   account_id, id, type
            FROM broker_transactions, unknown WHERE account_balance IS NOT NULL AND money(raw ->> field) <> 0
        )
        FROM found ORDER BY rule, account_id, number(id), id
    """,
    remarks_sql=f"""
        SELECT CASE WHEN count_if(account_balance <> before + change AND holes > 0) > 0
                    THEN '{INCONCLUSIVE}' ELSE '{NOTE}' END,
               count_if(number > before_number + 1) || ' holes in the ids of the broker''s account ' || account_id
               || ', the first before transaction ' || arg_min(id, number) FILTER (number > before_number + 1)
        FROM breaks GROUP BY account_id HAVING count_if(number > before_number + 1) > 0
        UNION ALL
        SELECT '{INCONCLUSIVE}', sum(unnumbered) || ' transactions of the broker have an id that is no number, the '
               || 'first: ' || min(first_unnumbered)
        FROM flows HAVING sum(unnumbered) > 0
    """,
    rules={
        "broker balance chain": Rule(
            Level.CRITICAL,
            "The broker's balance is {measured} after transaction {id} ({type}), but the balance before it and what it "
            "moved give {expected}.",
        ),
        "money moved without a balance": Rule(
            Level.CRITICAL, "The broker's transaction {id} ({type}) moves {difference}, but names no balance after it."
        ),
        "transaction twice in the statement": Rule(
            Level.CRITICAL, "The broker's books hold transaction {id} ({type}) more than once."
        ),
        "unknown transaction type": Rule(
            Level.HIGH, "The broker's transaction {id} is a {measured}, of which nobody here knows what it does."
        ),
        "unknown money field": Rule(
            Level.HIGH,
            "The broker's transaction {id} ({type}) holds {measured}, of which nobody here knows the meaning.",
        ),
    },
    empty="the broker has no transactions",
)
