"""Check 11: positions follow from their executions, and open ones are the broker's open trades, both ways.

The broker knows which trade a fill opened, reduced or closed: an execution must be on the position of that trade.
"""

from audits.checks.check import NOTE, Check, Rule
from audits.checks.fills import FILL_RULES, FILLS_SQL
from audits.checks.trades import TRADE_RULES, TRADES_SQL
from audits.findings import Level

_OWN_SQL = """
    SELECT 'units of executions' AS rule, plain(d.units) AS expected, plain(units_open) AS measured,
           units_open - d.units AS difference, position_id, broker_trade_id AS trade_id, NULL AS execution_id,
           instrument
    FROM positions p JOIN deals d USING (position_id) WHERE units_open IS DISTINCT FROM d.units
    UNION ALL
    SELECT 'units as opened', plain(opened_units), plain(p.units), p.units - opened_units, position_id, broker_trade_id,
           NULL, instrument
    FROM positions p JOIN deals d USING (position_id) WHERE p.units <> opened_units AND p.units <> first_units
    UNION ALL
    SELECT 'turned over', 'units of the side of ' || plain(units), plain(units_open), units_open, position_id,
           broker_trade_id, NULL, instrument
    FROM positions WHERE sign(units_open) = -sign(units) AND units_open <> 0
    UNION ALL
    SELECT 'status', CASE WHEN units_open = 0 THEN 'closed' ELSE 'open' END, status, units_open, position_id,
           broker_trade_id, NULL, instrument
    FROM positions WHERE status IS DISTINCT FROM CASE WHEN units_open = 0 THEN 'closed' ELSE 'open' END
    UNION ALL
    SELECT 'closing time', CASE WHEN units_open = 0 THEN 'a time' ELSE 'no time' END,
           coalesce(closed_at::VARCHAR, 'none'), NULL, position_id, broker_trade_id, NULL, instrument
    FROM positions WHERE (units_open = 0) = (closed_at IS NULL)
    UNION ALL
    SELECT 'execution of another kind', p.instrument || ' of ' || p.account_id, e.instrument || ' of ' || e.account_id,
           NULL, position_id, p.broker_trade_id, e.execution_id, e.instrument
    FROM executions e SEMI JOIN misfits USING (execution_id) JOIN positions p USING (position_id)
    WHERE e.instrument <> p.instrument OR e.account_id <> p.account_id
"""

_OWN_RULES = {
    "units of executions": Rule(
        Level.CRITICAL, "Position {position_id} has {measured} units open, but its executions leave {expected}."
    ),
    "units as opened": Rule(
        Level.CRITICAL, "Position {position_id} was opened with {measured} units, but its executions say {expected}."
    ),
    "turned over": Rule(
        Level.CRITICAL, "Position {position_id} has {measured} units open: it was closed by more than it held."
    ),
    "status": Rule(Level.CRITICAL, "Position {position_id} is {measured}, but its open units make it {expected}."),
    "closing time": Rule(
        Level.CRITICAL, "Position {position_id} should have {expected} of closing, but has {measured}."
    ),
    "execution of another kind": Rule(
        Level.CRITICAL,
        "Execution {execution_id} is in {measured}, but position {position_id}, on which it is booked, in {expected}.",
    ),
}

POSITIONS = Check(
    name="positions",
    title="Positions follow from executions, and open ones are the broker's open trades",
    needs=("accounts", "positions", "executions"),
    own=("positions.units_open", "positions.status"),
    compares=("broker_transactions", "broker_trades", "broker_account"),
    uses=("tied_pairs", "deals", "parts", "misfits"),
    # The broker's account is looked at too: that it counts no trade is evidence that none should be open.
    rows_sql="""
        SELECT (SELECT count(*) FROM positions) + (SELECT count(*) FROM executions)
             + (SELECT count(*) FROM broker_trades) + (SELECT count(*) FROM broker_account)
    """,
    findings_sql=f"FROM ({_OWN_SQL} UNION ALL ({FILLS_SQL}) UNION ALL ({TRADES_SQL})) "
    "ORDER BY rule, position_id, trade_id, execution_id",
    remarks_sql=f"""
        SELECT '{NOTE}', 'no execution names the broker''s transaction: fills were not compared one by one'
        FROM executions HAVING count(*) > 0 AND count(broker_transaction_id) = 0
    """,
    rules=_OWN_RULES | FILL_RULES | TRADE_RULES,
    empty="neither positions nor the broker's account were there to compare",
    needs_tie=True,
)
