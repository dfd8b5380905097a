"""Part of check 11: each execution is the part of the broker's fill that is about the trade of its position.

An execution may be written down later than the fill, by the ledger's clock, but not long before it.
"""

from audits.checks.check import Rule
from audits.checks.protection import LIMIT_S
from audits.findings import Level

FILLS_SQL = f"""
    WITH executed AS (
        SELECT * FROM misfits
        SEMI JOIN parts known ON misfits.account_id = known.account_id AND broker_transaction_id = known.fill_id
        WHERE broker_trade_id IS NOT NULL
    )
    SELECT 'fill on the wrong position' AS rule, 'trade ' || broker_trade_id AS expected,
           'not part of transaction ' || broker_transaction_id AS measured, units AS difference, position_id,
           broker_trade_id AS trade_id, execution_id, instrument
    FROM executed WHERE trade_id IS NULL
    UNION ALL
    SELECT 'units of the fill', plain(fill_units), plain(units), units - fill_units, position_id, trade_id,
           execution_id, instrument
    FROM executed WHERE units <> fill_units
    UNION ALL
    SELECT 'price of the fill', plain(fill_price), plain(price), price - fill_price, position_id, trade_id,
           execution_id, instrument
    FROM executed WHERE price <> fill_price
    UNION ALL
    SELECT 'time of the fill', fill_time::VARCHAR, executed_at::VARCHAR,
           (epoch_us(executed_at) - epoch_us(fill_time))::DECIMAL(30, 0) * 0.001, position_id, trade_id, execution_id,
           instrument
    FROM executed WHERE executed_at < fill_time - INTERVAL {LIMIT_S} SECOND
"""

FILL_RULES = {
    "fill on the wrong position": Rule(
        Level.CRITICAL,
        "Execution {execution_id} is booked on position {position_id} of {expected}, but that trade is {measured}.",
    ),
    "units of the fill": Rule(
        Level.CRITICAL,
        "Execution {execution_id} of position {position_id} has {measured} units, but the broker filled {expected}.",
    ),
    "price of the fill": Rule(
        Level.CRITICAL,
        "Execution {execution_id} of position {position_id} was at {measured}, but the broker filled at {expected}.",
    ),
    "time of the fill": Rule(
        Level.CRITICAL,
        "Execution {execution_id} of position {position_id} is of {measured}, but the broker filled it at {expected}.",
    ),
}
