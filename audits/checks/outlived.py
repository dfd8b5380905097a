"""Part of check 12: an order that waits at the broker for a position that is closed would open another, unasked.

Whose it is, the ledger's order says. Where it names no position, an order is taken for a stop that was set again: the
other way round, at the stop loss or take profit of a position that closed within SET_AGAIN_S before, and of no open
one. An order from before the close that nobody's row names may be meant to turn the position round, and is left.
"""

from audits.checks.check import Rule
from audits.checks.protection import LIMIT_S
from audits.checks.resting import BOTH_SIDES
from audits.findings import Level

SET_AGAIN_S = 60

_SETTLED = f"(SELECT moment FROM this) - INTERVAL {LIMIT_S} SECOND"

OUTLIVED_SQL = f"""
    WITH {BOTH_SIDES}, priced AS (
        SELECT * REPLACE (money(units) AS units), money(TRY(raw ->> 'price')) AS price,
               TRY(raw ->> 'instrument') AS instrument, sign(money(units)) AS side
        FROM resting WHERE time < {_SETTLED}
    ), named AS (
        SELECT account_id, id, position_id FROM priced JOIN orders o USING (account_id) WHERE o.broker_order_id = id
        UNION
        SELECT account_id, id, position_id FROM priced JOIN orders o USING (account_id, client_order_id)
    ), told AS (
        SELECT account_id, id, position_id, 'order' AS kind
        FROM named JOIN positions USING (account_id, position_id)
        WHERE status = 'closed' AND coalesce(closed_at < {_SETTLED}, true)
    ), standing AS (
        SELECT account_id, instrument, unnest([stop_loss, take_profit]) AS price, -sign(units) AS side
        FROM positions WHERE status = 'open'
    ), alike AS (
        SELECT r.account_id, r.id, p.position_id,
               CASE WHEN r.price = p.stop_loss THEN 'stop loss' ELSE 'take profit' END AS kind
        FROM priced r
        ANTI JOIN (FROM named WHERE position_id IS NOT NULL) USING (account_id, id)
        ANTI JOIN standing USING (account_id, instrument, price, side)
        JOIN positions p USING (account_id, instrument)
        JOIN parts c ON c.account_id = p.account_id AND c.trade_id = p.broker_trade_id AND c.kind = 'closed'
        WHERE (r.price = p.stop_loss OR r.price = p.take_profit) AND r.side = -sign(p.units)
          AND abs(r.units) <= abs(p.units) AND NOT r.replaces AND number(r.id) > c.fill_number
          AND epoch_ms(r.time) - epoch_ms(c.time) <= {SET_AGAIN_S * 1000}
    )
    SELECT 'order of a closed position' AS rule, 'none' AS expected,
           coalesce(kind || ' at ' || plain(price), kind) AS measured, units, 'broker_transactions' AS relation, id,
           any_value(position_id)
    FROM (FROM told UNION ALL FROM alike) JOIN priced USING (account_id, id) GROUP BY ALL
"""

OUTLIVED_RULES = {
    "order of a closed position": Rule(
        Level.CRITICAL,
        "Position {missing} is closed, but its {measured} waits at the broker as order {key} of {difference} units, "
        "and would open another.",
    ),
}
