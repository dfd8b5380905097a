"""Check 16: the state rebuilt from the events is the state that is stored.

What the contract expects of payloads (JSON, numbers as text or numbers): `units` (signed) in ORDER_FILLED,
`realized_pnl` in PNL_REALIZED, `margin_used` in MARGIN_RESERVED, MARGIN_UPDATED and MARGIN_RELEASED, and in
POSITION_CREATED `instrument`, `units` and `entry_price` where they are given. Without the first two nothing is rebuilt.
"""

from audits.checks.check import INCONCLUSIVE, NOTE, Check, Rule
from audits.findings import Level

REPLAY = Check(
    name="replay",
    title="The events rebuild the state that is stored",
    needs=("accounts", "positions", "position_events", "balance_events"),
    uses=("stories", "creations", "totals"),
    rows_sql="SELECT (SELECT count(*) FROM position_events) + (SELECT count(*) FROM balance_events)",
    findings_sql="""
        WITH told AS (
            SELECT p.*, s.* EXCLUDE (position_id, units, realized_pnl), s.units AS told_units,
                   s.realized_pnl AS told_pnl
            FROM positions p JOIN stories s USING (position_id)
        ), found AS (
            SELECT 'units from events' AS rule, plain(coalesce(told_units, 0)) AS expected,
                   plain(units_open) AS measured, units_open - coalesce(told_units, 0) AS difference, position_id AS key
            FROM told WHERE known_units = filled AND units_open IS DISTINCT FROM coalesce(told_units, 0)
            UNION ALL
            SELECT 'profit from events', plain(coalesce(told_pnl, 0)), plain(realized_pnl),
                   realized_pnl - coalesce(told_pnl, 0), position_id
            FROM told WHERE known_pnl = realized AND realized_pnl IS DISTINCT FROM coalesce(told_pnl, 0)
            UNION ALL
            SELECT 'margin from events', plain(margin), plain(margin_used), margin_used - margin, position_id
            FROM told WHERE margin <> margin_used
            UNION ALL
            SELECT 'status from events', CASE WHEN closed > 0 THEN 'closed' ELSE 'open' END, status, NULL, position_id
            FROM told WHERE status IS DISTINCT FROM CASE WHEN closed > 0 THEN 'closed' ELSE 'open' END
            UNION ALL
            SELECT 'created as', concat_ws(' ', plain(told_units), told_instrument, plain(told_price)),
                   concat_ws(' ', plain(units), instrument, plain(entry_price)), units - told_units, position_id
            FROM positions JOIN creations USING (position_id)
            WHERE told_instrument <> instrument OR told_units NOT IN (units)
               OR (told_price <> entry_price AND told_units = units)
            UNION ALL
            SELECT 'balance from events', plain(total), plain(balance), balance - total, account_id
            FROM totals WHERE balance IS DISTINCT FROM total
        )
        FROM found ORDER BY rule, key
    """,
    remarks_sql=f"""
        SELECT '{INCONCLUSIVE}', 'the payload of ' || sum(filled - known_units) || ' ORDER_FILLED events has no units'
        FROM stories HAVING sum(filled - known_units) > 0
        UNION ALL
        SELECT '{INCONCLUSIVE}', 'the payload of ' || sum(realized - known_pnl)
               || ' PNL_REALIZED events has no realized_pnl'
        FROM stories HAVING sum(realized - known_pnl) > 0
        UNION ALL
        SELECT '{INCONCLUSIVE}', 'the margin events of ' || count(*) || ' positions have no margin_used in the payload'
        FROM positions JOIN stories USING (position_id)
        WHERE margin_used IS NOT NULL AND margin IS NULL AND reserved + released > 0 HAVING count(*) > 0
        UNION ALL
        SELECT '{NOTE}', 'positions.margin_used is null in every row: margins were not rebuilt'
        FROM positions HAVING count(*) > 0 AND count(margin_used) = 0
    """,
    rules={
        "units from events": Rule(
            Level.CRITICAL, "Position {key} has {measured} units open, but its events amount to {expected}."
        ),
        "profit from events": Rule(
            Level.CRITICAL, "Position {key} shows a profit of {measured}, but its events amount to {expected}."
        ),
        "margin from events": Rule(
            Level.HIGH, "Position {key} uses a margin of {measured}, but its last margin event says {expected}."
        ),
        "status from events": Rule(Level.CRITICAL, "Position {key} is {measured}, but its events leave it {expected}."),
        "created as": Rule(Level.CRITICAL, "Position {key} is {measured}, but was created as {expected}."),
        "balance from events": Rule(
            Level.CRITICAL, "Account {key} holds {measured}, but its events amount to {expected}."
        ),
    },
    empty="the ledger has no events",
)
