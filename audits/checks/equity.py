"""Check 7: equity is balance and unrealised profit; margin used and available are the equity.

Prices move between the ledger's valuation and the broker's, so that an account with open positions is compared with
the broker's within DRIFT_PCT of what it holds; one without is compared exactly. Free margin never shows below zero.
"""

from audits.checks.check import NOT_APPLICABLE, NOTE, Check, Rule
from audits.findings import Level

DRIFT_PCT = 2  # of the position value (equity), or of the margin, between two valuations

_BOOKS = f"SELECT *, position_value * {DRIFT_PCT} * 0.01 AS drift FROM valuations"

EQUITY = Check(
    name="equity",
    title="Equity and margin add up",
    needs=("accounts", "positions"),
    compares=("broker_account",),
    uses=("tied_pairs", "valuations"),
    rows_sql="SELECT count(*) FROM accounts WHERE equity IS NOT NULL OR margin_used IS NOT NULL",
    findings_sql=f"""
        WITH books AS ({_BOOKS}), found AS (
            SELECT 'margin and equity' AS rule, plain(equity) AS expected,
                   plain(margin_used + margin_available) AS measured,
                   margin_used + margin_available - equity AS difference, account_id
            FROM books WHERE margin_used + margin_available <> equity AND margin_available <> free
            UNION ALL
            SELECT 'equity without positions', plain(balance), plain(equity), equity - balance, account_id
            FROM books WHERE open_positions = 0 AND equity <> balance
            UNION ALL
            SELECT 'margin without positions', '0', plain(margin_used), margin_used, account_id
            FROM books WHERE open_positions = 0 AND margin_used <> 0
            UNION ALL
            SELECT 'equity away from the broker', plain(nav), plain(equity), equity - nav, account_id
            FROM books WHERE open_positions > 0 AND abs(equity - nav) > drift
            UNION ALL
            SELECT 'margin away from the broker', plain(broker_margin), plain(margin_used),
                   margin_used - broker_margin, account_id
            FROM books WHERE open_positions > 0
              AND abs(margin_used - broker_margin) > broker_margin * {DRIFT_PCT} * 0.01
        )
        FROM found ORDER BY rule, account_id
    """,
    remarks_sql=f"""
        SELECT '{NOT_APPLICABLE}', 'accounts.equity, margin_used and margin_available are null in every row'
        FROM accounts HAVING count(*) > 0 AND count(equity) + count(margin_used) + count(margin_available) = 0
        UNION ALL
        SELECT '{NOTE}', 'account ' || account_id || ' has no ' || concat_ws(', ',
            CASE WHEN equity IS NULL THEN 'equity' END, CASE WHEN margin_used IS NULL THEN 'margin_used' END,
            CASE WHEN margin_available IS NULL THEN 'margin_available' END)
        FROM accounts WHERE (equity IS NULL) <> (margin_used IS NULL) OR (equity IS NULL) <> (margin_available IS NULL)
        UNION ALL
        SELECT '{NOTE}', 'account ' || account_id || ' has open positions, whose prices move: its equity was compared '
            || 'with ' || CASE WHEN drift IS NULL THEN 'nothing'
               ELSE 'the broker''s within ' || plain(drift) || ' ' || currency || ', {DRIFT_PCT} % of their value' END
        FROM ({_BOOKS}) WHERE open_positions > 0 AND equity IS NOT NULL
    """,
    rules={
        "margin and equity": Rule(
            Level.HIGH,
            "The margin used and available of account {account_id} add up to {measured}, but its equity is {expected}.",
        ),
        "equity without positions": Rule(
            Level.HIGH, "Account {account_id} has no open position and holds {expected}, but its equity is {measured}."
        ),
        "margin without positions": Rule(
            Level.HIGH, "Account {account_id} has no open position, but {measured} of margin in use."
        ),
        "equity away from the broker": Rule(
            Level.HIGH,
            "The equity of account {account_id} is {measured}, but at the broker {expected}: not by prices alone.",
        ),
        "margin away from the broker": Rule(
            Level.HIGH,
            "Account {account_id} has {measured} of margin in use, but at the broker {expected}: not by prices alone.",
        ),
    },
    empty="no account has an equity or a margin",
    needs_tie=True,
)
