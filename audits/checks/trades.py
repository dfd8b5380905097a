"""Part of check 11: open positions are the broker's open trades, both ways."""

from audits.checks.check import Rule
from audits.findings import Level

_OPEN = "SELECT p.*, broker_account_id FROM positions p JOIN tied_pairs USING (account_id) WHERE status = 'open'"

_PAIRED = f"""
    SELECT p.position_id, p.broker_trade_id, p.instrument, p.units_open, p.entry_price, t.trade_id,
           t.instrument AS trade_instrument, t.units AS trade_units, t.price AS trade_price
    FROM ({_OPEN}) p FULL OUTER JOIN (
        SELECT t.* REPLACE (b.account_id AS account_id)
        FROM broker_trades t JOIN tied_pairs b ON t.account_id = b.broker_account_id
    ) t ON p.broker_trade_id = t.trade_id AND p.account_id = t.account_id
"""

TRADES_SQL = f"""
    WITH paired AS ({_PAIRED})
    SELECT 'position without broker trade' AS rule, 'open trade ' || coalesce(broker_trade_id, '(none named)')
           AS expected,
           'none' AS measured, NULL::DECIMAL(38, 18) AS difference, position_id, broker_trade_id AS trade_id,
           NULL AS execution_id, instrument
    FROM paired WHERE trade_id IS NULL
    UNION ALL
    SELECT 'broker trade without position', 'open position', 'none', NULL, NULL, trade_id, NULL, trade_instrument
    FROM paired WHERE position_id IS NULL
    UNION ALL
    SELECT 'position instrument', trade_instrument, instrument, NULL, position_id, trade_id, NULL, instrument
    FROM paired WHERE instrument <> trade_instrument
    UNION ALL
    SELECT 'position units', plain(trade_units), plain(units_open), units_open - trade_units, position_id, trade_id,
           NULL,
           instrument
    FROM paired WHERE units_open <> trade_units
    UNION ALL
    SELECT 'position entry price', plain(trade_price), plain(entry_price), entry_price - trade_price, position_id,
           trade_id, NULL, instrument
    FROM paired WHERE entry_price <> trade_price
    UNION ALL
    SELECT 'broker trade held twice', '1 position', count(*) || ' positions', count(*) - 1,
           string_agg(position_id, ', ' ORDER BY position_id), broker_trade_id, NULL, min(instrument)
    FROM ({_OPEN}) WHERE broker_trade_id IS NOT NULL GROUP BY account_id, broker_trade_id HAVING count(*) > 1
    UNION ALL
    SELECT 'count of open positions', open_trade_count::VARCHAR, coalesce(n, 0)::VARCHAR,
           coalesce(n, 0) - open_trade_count, NULL, NULL, NULL, NULL
    FROM broker_account b JOIN tied_pairs t ON b.account_id = t.broker_account_id
    LEFT JOIN (SELECT account_id, count(*) AS n FROM ({_OPEN}) GROUP BY ALL) o ON o.account_id = t.account_id
    WHERE coalesce(n, 0) <> open_trade_count
"""

TRADE_RULES = {
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
        Level.CRITICAL, "Position {position_id} has {measured} units open, but its trade {trade_id} has {expected}."
    ),
    "position entry price": Rule(
        Level.CRITICAL, "Position {position_id} was entered at {measured}, but its trade {trade_id} at {expected}."
    ),
    "broker trade held twice": Rule(
        Level.CRITICAL, "The positions {position_id} all claim the broker's trade {trade_id}."
    ),
    "count of open positions": Rule(
        Level.CRITICAL,
        "The ledger has {measured} open positions, but the broker counts {expected} open trades.",
    ),
}
