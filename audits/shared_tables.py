"""The tables that several checks share, as SQL over a snapshot's relations. Pure.

- `broker_accounts`: what the broker says of each account;
- `pairs`: each ledger account with the broker account of the same id, or the only one with the only one;
- `tied_pairs`: the same, but none where ledger and broker are of different moments;
- `changes`: each broker transaction with what it adds to the balance;
- `starts`: the broker transaction after which a ledger account began;
- `parts`: each trade that a fill of the broker opened, closed or reduced;
- `links`: each balance event whose number or balance does not follow from the one before, and each account's first;
- `breaks`: each broker transaction whose balance or id does not follow from the one before;
- `stops`: each stop order of the broker, and when it ended;
- `deals`: what the executions of a position add up to;
- `earnings`: what each closing execution earned, by its prices;
- `stories`: what the events of a position do.
"""

from collections.abc import Iterable

# money(): a number from text, by way of a narrow decimal where the text is short, which is ten times as fast.
# gain(): price difference × units × rate, exactly, where the numbers have so few digits that their product does not
# overflow (currencies; rates from the yen; coins of 8 decimals); else null.
MACROS = """
CREATE MACRO plain(n) AS CASE WHEN contains(n::VARCHAR, '.') THEN rtrim(rtrim(n::VARCHAR, '0'), '.')
    ELSE n::VARCHAR END;
CREATE MACRO number(id) AS CASE WHEN regexp_full_match(id, '[0-9]{1,18}') THEN id::BIGINT END;
CREATE MACRO money(t) AS CASE WHEN length(t) <= 10 AND NOT contains(lower(t), 'e')
    THEN coalesce(TRY_CAST(t AS DECIMAL(18, 9))::DECIMAL(38, 18), TRY_CAST(t AS DECIMAL(38, 18)))
    ELSE TRY_CAST(t AS DECIMAL(38, 18)) END;
CREATE MACRO gain(d, u, r) AS CASE
    WHEN r = 1 AND abs(d) < 10000 AND d % 0.00000001 = 0 AND abs(u) < 1000000000 AND u % 0.001 = 0
    THEN (d::DECIMAL(38, 8) * u::DECIMAL(12, 3))::DECIMAL(38, 18)
    WHEN abs(d) < 10000 AND d % 0.00000001 = 0 AND abs(u) < 1000000000 AND u % 0.001 = 0
         AND abs(r) < 100 AND r % 0.000000000001 = 0
    THEN (d::DECIMAL(38, 8) * u::DECIMAL(12, 3) * r::DECIMAL(14, 12))::DECIMAL(38, 18)
    WHEN abs(d) < 10000 AND d % 0.00000001 = 0 AND abs(u) < 1000000000 AND u % 0.001 = 0
         AND abs(r) < 100000 AND r % 0.000000001 = 0
    THEN (d::DECIMAL(38, 8) * u::DECIMAL(12, 3) * r::DECIMAL(14, 9))::DECIMAL(38, 18)
    WHEN abs(d) < 10000000 AND d % 0.00000001 = 0 AND abs(u) < 1000000 AND u % 0.00000001 = 0
         AND abs(r) < 100 AND r % 0.01 = 0
    THEN (d::DECIMAL(38, 8) * u::DECIMAL(14, 8) * r::DECIMAL(4, 2))::DECIMAL(38, 18) END;
"""

# Rule (OANDA v20, exact in 282 of 282 consecutive pairs of real transactions): what one adds to the balance.
CHANGES = """
CREATE VIEW changes AS SELECT account_id, id, number(id) AS number, time, type, account_balance,
    coalesce(pl, 0) + coalesce(financing, 0) - coalesce(commission, 0) - coalesce(guaranteed_execution_fee, 0)
    + coalesce(dividend_adjustment, 0) + CASE WHEN type = 'TRANSFER_FUNDS' THEN coalesce(amount, 0) ELSE 0 END AS change
FROM broker_transactions
"""

# name: SQL. Made when a check first uses one; each may use those before it.
SHARED = {
    "broker_accounts": """
        SELECT account_id, currency, balance, last_transaction_id FROM broker_account
        UNION ALL
        SELECT account_id, NULL, arg_max(account_balance, number), max(number)::VARCHAR
        FROM changes ANTI JOIN broker_account USING (account_id) GROUP BY account_id
    """,
    "pairs": """
        SELECT l.account_id, b.account_id AS broker_account_id FROM accounts l JOIN broker_accounts b
          ON l.account_id = b.account_id
             OR ((SELECT count(*) FROM accounts) = 1 AND (SELECT count(*) FROM broker_accounts) = 1)
    """,
    "tied_pairs": "SELECT * FROM pairs WHERE (SELECT tied FROM this)",
    "starts": """
        WITH firsts AS (
            SELECT account_id AS broker_account_id, min(number) AS first_number,
                   arg_min(account_balance - change, number) FILTER (account_balance IS NOT NULL) AS first_balance
            FROM changes GROUP BY account_id
        ), matches AS (
            SELECT p.account_id, min(c.number) AS opened_after
            FROM changes c JOIN pairs p ON c.account_id = p.broker_account_id
            JOIN accounts a ON a.account_id = p.account_id AND c.account_balance = a.opening_balance GROUP BY ALL
        )
        SELECT p.account_id, p.broker_account_id, first_number,
               CASE WHEN a.opening_balance = first_balance THEN first_number - 1 ELSE opened_after END AS opened_after
        FROM tied_pairs p JOIN accounts a USING (account_id) LEFT JOIN firsts USING (broker_account_id)
        LEFT JOIN matches USING (account_id)
    """,
    "parts": """
        WITH fills AS (
            SELECT p.account_id, t.id AS fill_id, number(t.id) AS fill_number, t.time, t.order_id, t.reason,
                   TRY(from_json(t.raw, '{"instrument": "VARCHAR", "clientOrderID": "VARCHAR", "price": "VARCHAR",
                       "fullPrice": {"timestamp": "VARCHAR"},
                       "tradeOpened": {"tradeID": "VARCHAR", "units": "VARCHAR", "price": "VARCHAR"},
                       "tradeReduced": {"tradeID": "VARCHAR", "units": "VARCHAR", "price": "VARCHAR"},
                       "tradesClosed": [{"tradeID": "VARCHAR", "units": "VARCHAR", "price": "VARCHAR"}]}')) AS body
            FROM broker_transactions t JOIN tied_pairs p ON t.account_id = p.broker_account_id
            WHERE t.type = 'ORDER_FILL'
        ), split AS (
            SELECT * EXCLUDE (body), body.instrument, body.clientOrderID AS client_order_id, body.price AS fill_price,
                   TRY_CAST(body.fullPrice.timestamp AS TIMESTAMPTZ) AS quoted_at, unnest(list_filter(list_concat(
                       [{'kind': 'opened', 'part': body.tradeOpened}, {'kind': 'reduced', 'part': body.tradeReduced}],
                       list_transform(body.tradesClosed, lambda one: {'kind': 'closed', 'part': one})),
                       lambda each: each.part IS NOT NULL)) AS one
            FROM fills
        )
        SELECT * EXCLUDE (one, fill_price), one.kind, one.part.tradeID AS trade_id, money(one.part.units) AS units,
               coalesce(money(one.part.price), money(fill_price)) AS price
        FROM split
    """,
    "stops": """
        WITH ends AS (
            SELECT p.account_id, t.order_id, min(t.time) AS ended_at
            FROM broker_transactions t JOIN tied_pairs p ON t.account_id = p.broker_account_id
            WHERE t.type IN ('ORDER_FILL', 'ORDER_CANCEL') AND t.order_id IS NOT NULL GROUP BY ALL
        )
        SELECT p.account_id, t.id AS order_id, number(t.id) AS number, t.time AS created_at, ended_at,
               CASE t.type WHEN 'TAKE_PROFIT_ORDER' THEN 'take profit' ELSE 'stop loss' END AS kind,
               t.type = 'TRAILING_STOP_LOSS_ORDER' AS is_trailing, TRY(t.raw ->> 'tradeID') AS trade_id,
               money(TRY(t.raw ->> 'price')) AS price, o.time AS opened_at, o.units AS trade_units,
               coalesce(TRY(t.raw ->> 'triggerCondition'), 'DEFAULT') = 'DEFAULT' AS has_usual_trigger
        FROM broker_transactions t JOIN tied_pairs p ON t.account_id = p.broker_account_id
        LEFT JOIN ends e ON e.account_id = p.account_id AND e.order_id = t.id
        LEFT JOIN parts o ON o.account_id = p.account_id AND o.kind = 'opened' AND o.trade_id = TRY(t.raw ->> 'tradeID')
        WHERE t.type IN ('STOP_LOSS_ORDER', 'GUARANTEED_STOP_LOSS_ORDER', 'TRAILING_STOP_LOSS_ORDER',
            'TAKE_PROFIT_ORDER')
    """,
    # Without the text of event ids: ten million of them would not fit into memory.
    "links": """
        SELECT * FROM (
            SELECT account_id, sequence, balance_before, row_number() OVER numbers = 1 AS is_first,
                   lag(sequence) OVER numbers AS before_sequence, lag(balance_after) OVER numbers AS before_balance
            FROM balance_events WINDOW numbers AS (PARTITION BY account_id ORDER BY sequence)
        )
        WHERE is_first OR sequence IS DISTINCT FROM before_sequence + 1
           OR balance_before IS DISTINCT FROM before_balance
    """,
    # An account's ids are looked at one by one only where they are not as many as from the first to the last.
    "breaks": """
        WITH uneven AS (
            SELECT account_id FROM changes GROUP BY account_id
            HAVING count(*) <> max(number) - min(number) + 1 OR count(*) <> count(DISTINCT number)
        ), whole AS (
            SELECT account_id, id, number, type, account_balance, change, lag(number) OVER balances AS before_number,
                   lag(account_balance) OVER balances AS before, 0 AS holes
            FROM changes ANTI JOIN uneven USING (account_id) WHERE account_balance IS NOT NULL
            WINDOW balances AS (PARTITION BY account_id ORDER BY number)
        ), uneven_ids AS (
            SELECT account_id, id, number, type, account_balance, change, lag(number) OVER ids AS before_number,
                   number - row_number() OVER ids AS shift
            FROM changes SEMI JOIN uneven USING (account_id) WINDOW ids AS (PARTITION BY account_id ORDER BY number)
        ), holed AS (
            SELECT * EXCLUDE (shift), lag(account_balance) OVER balances AS before,
                   shift - lag(shift) OVER balances AS holes
            FROM uneven_ids
            WINDOW balances AS (PARTITION BY account_id, account_balance IS NULL ORDER BY number)
        )
        FROM whole WHERE account_balance <> before + change
        UNION ALL
        SELECT account_id, id, number, type, account_balance, change, NULL, NULL, 0
        FROM changes ANTI JOIN uneven USING (account_id) WHERE account_balance IS NULL AND change <> 0
        UNION ALL
        FROM holed
        WHERE account_balance <> before + change OR (account_balance IS NULL AND change <> 0)
           OR number <> before_number + 1
    """,
    "deals": """
        SELECT e.position_id, count(*) AS executions,
               count_if(sign(e.units) = sign(p.units)) AS openings, count_if(sign(e.units) <> sign(p.units))
                   AS closings,
               sum(e.units) AS units, sum(e.units) FILTER (sign(e.units) = sign(p.units)) AS opened_units,
               arg_min(e.units, e.executed_at) AS first_units, sum(e.realized_pnl) AS realized_pnl,
               min(e.price) FILTER (sign(e.units) = sign(p.units)) AS lowest_entry,
               max(e.price) FILTER (sign(e.units) = sign(p.units)) AS highest_entry,
               min(e.executed_at) AS first_at, max(e.executed_at) AS last_at,
               max(e.executed_at) FILTER (sign(e.units) = sign(p.units)) AS last_opening_at,
               min(e.executed_at) FILTER (sign(e.units) <> sign(p.units)) AS first_closing_at
        FROM executions e JOIN positions p USING (position_id) GROUP BY e.position_id
    """,
    "earnings": """
        SELECT row_number() OVER () AS row_id, e.execution_id, e.position_id, e.realized_pnl, e.broker_transaction_id,
               e.price - p.entry_price AS difference, -e.units AS units, e.conversion_rate,
               gain(e.price - p.entry_price, -e.units, e.conversion_rate) AS earned
        FROM executions e JOIN positions p USING (position_id) WHERE sign(e.units) <> sign(p.units)
    """,
    "stories": """
        SELECT position_id, count(*) AS events, min(sequence) AS first_sequence, max(sequence) AS last_sequence,
               arg_min(event_type, sequence) AS first_type,
               count_if(event_type = 'POSITION_CREATED') AS created, count_if(event_type = 'ORDER_FILLED') AS filled,
               count_if(event_type = 'MARGIN_RESERVED') AS reserved,
               count_if(event_type = 'MARGIN_RELEASED') AS released,
               count_if(event_type = 'PNL_REALIZED') AS realized, count_if(event_type = 'POSITION_CLOSED') AS closed,
               max(sequence) FILTER (event_type = 'POSITION_CLOSED') AS closed_sequence,
               min(occurred_at) AS first_at, max(occurred_at) AS last_at,
               sum(told) FILTER (event_type = 'ORDER_FILLED') AS units,
               sum(told) FILTER (event_type = 'PNL_REALIZED') AS realized_pnl,
               arg_max(told, sequence) FILTER (starts_with(event_type, 'MARGIN_') AND told IS NOT NULL) AS margin,
               count(told) FILTER (event_type = 'ORDER_FILLED') AS known_units,
               count(told) FILTER (event_type = 'PNL_REALIZED') AS known_pnl,
               bit_count(bit_or(CASE WHEN sequence BETWEEN 1 AND 63 THEN 1::UBIGINT << (sequence - 1) END)) AS numbers
        FROM (SELECT position_id, sequence, event_type, occurred_at, money(TRY(CASE
                  WHEN event_type = 'ORDER_FILLED' THEN payload ->> 'units'
                  WHEN event_type = 'PNL_REALIZED' THEN payload ->> 'realized_pnl'
                  WHEN starts_with(event_type, 'MARGIN_') THEN payload ->> 'margin_used' END)) AS told
              FROM position_events)
        GROUP BY position_id
    """,
}

WIDE = "SELECT row_id, difference, units, conversion_rate FROM earnings WHERE earned IS NULL"

_MADE_FROM = {
    "pairs": ("broker_accounts",),
    "tied_pairs": ("pairs",),
    "starts": ("pairs", "tied_pairs"),
    "parts": ("tied_pairs", "starts"),
    "stops": ("tied_pairs", "parts"),
}


def needed(names: Iterable[str]) -> list[str]:
    """The shared tables to make, in the order in which one is made from another."""
    wanted = set(names)
    for name in reversed(SHARED):
        if name in wanted:
            wanted.update(_MADE_FROM.get(name, ()))
    return [name for name in SHARED if name in wanted]
