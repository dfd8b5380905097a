"""Check 11, towards the broker: open positions are the broker's open trades, both ways.

Compared: that each has its other half, the instrument, the signed open units, and the broker's own count of trades.
"""

from audits.checks.check import Check, Rule
from audits.findings import Level

_OPEN = """
    SELECT p.* FROM positions p, broker_account b
    WHERE p.status = 'open' AND (p.account_id = b.account_id OR (SELECT count(*) FROM accounts) = 1)
"""

POSITIONS = Check(
    name="positions",
    title="Open positions are the broker's open trades",
    needs=("accounts", "positions", "broker_trades", "broker_account"),
    # The broker's account is looked at too: that it counts no trade is evidence that none should be open.
    rows_sql=f"""
        SELECT (SELECT count(*) FROM ({_OPEN})) + (SELECT count(*) FROM broker_trades)
             + (SELECT count(*) FROM broker_account)
    """,  # noqa: S608
    findings_sql=f"""
        WITH open_positions AS ({_OPEN}), pairs AS (
            SELECT p.position_id, p.broker_trade_id, p.instrument, p.units_open,
                   t.trade_id, t.instrument AS trade_instrument, t.units AS trade_units
            FROM open_positions p FULL OUTER JOIN broker_trades t ON p.broker_trade_id = t.trade_id
        ), found AS (
            SELECT 'position without broker trade' AS rule, 'open trade ' || coalesce(broker_trade_id, '(none named)')
                   AS expected, 'none' AS measured, NULL::DECIMAL(38, 18) AS difference, position_id,
                   broker_trade_id AS trade_id, instrument
            FROM pairs WHERE trade_id IS NULL
            UNION ALL
            SELECT 'broker trade without position', 'open position', 'none', NULL, NULL, trade_id, trade_instrument
            FROM pairs WHERE position_id IS NULL
            UNION ALL
            SELECT 'position instrument', trade_instrument, instrument, NULL, position_id, trade_id, instrument
            FROM pairs WHERE instrument <> trade_instrument
            UNION ALL
            SELECT 'position units', plain(trade_units), plain(units_open), units_open - trade_units, position_id,
                   trade_id, instrument
            FROM pairs WHERE units_open <> trade_units
            UNION ALL
            SELECT 'broker trade held twice', '1 position', count(*) || ' positions', count(*) - 1,
                   string_agg(position_id, ', ' ORDER BY position_id), broker_trade_id, min(instrument)
            FROM open_positions WHERE broker_trade_id IS NOT NULL GROUP BY broker_trade_id HAVING count(*) > 1
            UNION ALL
            SELECT 'count of open positions', open_trade_count::VARCHAR, n::VARCHAR, n - open_trade_count, NULL, NULL,
                   NULL
            FROM broker_account, (SELECT count(*) AS n FROM open_positions) WHERE n <> open_trade_count
        )
        FROM found ORDER BY rule, position_id, trade_id
    """,  # noqa: S608
    rules={
        "position without broker trade": Rule(
            Level.CRITICAL, "Position {position_id} ({instrument}) is open, but the broker has no {expected}."
        ),
        "broker trade without position": Rule(
            Level.CRITICAL, "The broker has an open trade {trade_id} ({instrument}) that the ledger does not hold."
        ),
        "position instrument": Rule(
            Level.CRITICAL, "Position {position_id} is in {measured}, but its trade {trade_id} is in {expected}."
        ),
        "position units": Rule(
            Level.CRITICAL,
            "Position {position_id} has {measured} units open, but its trade {trade_id} has {expected}.",
        ),
        "broker trade held twice": Rule(
            Level.CRITICAL, "The positions {position_id} all claim the broker's trade {trade_id}."
        ),
        "count of open positions": Rule(
            Level.CRITICAL, "The ledger has {measured} open positions, but the broker counts {expected} open trades."
        ),
    },
    empty="neither open positions nor the broker's account were there to compare",
    needs_tie=True,
)
