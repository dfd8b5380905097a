"""The tables that several checks share, as SQL over a snapshot's relations. Pure.

- `flows` and `totals`: what an account's transactions at the broker, and its balance events, add up to;
- `broker_accounts`: what the broker says of each account;
- `pairs`: each ledger account with the broker account of the same id, or the only one with the only one;
- `tied_pairs`: the same, but none where ledger and broker are of different moments;
- `valuations`: each ledger account with what the broker values it at;
- `changes`: each broker transaction with what it adds to the balance;
- `starts`: the broker transaction after which a ledger account began;
- `unequal`: each transaction of which ledger and broker say other sums;
- `trade_records`: what each fill and each stop order of the broker says of one trade;
- `parts`: each trade that a fill of the broker opened, closed or reduced;
- `links`: each balance event whose number or balance does not follow from the one before, and each account's first;
- `breaks`: each broker transaction whose balance or id does not follow from the one before;
- `stops`: each stop order of the broker, when it ended, and which side of the market triggers it;
- `deals`: what the executions of a position add up to;
- `misfits`: each execution that does not go with its position or its fill, and each fill without one;
- `earnings`, made in audits.earnings: the closing executions that earned something else than what was booked;
- `touches`, made in audits.touch_table: each stop order and the first of the broker's candles that reached it;
- `stories` and `creations`: what the events of a position do, and what the one that created it says of it.
"""

from collections.abc import Iterable

# money(): a number from text, by way of a narrow decimal where the text is short, which is ten times as fast.
# same_side(): whether two numbers have the same sign; sign() goes by way of binary fractions, which is slow.
MACROS = """
CREATE TYPE TRIGGER AS ENUM ('DEFAULT', 'INVERSE', 'BID', 'ASK');
CREATE MACRO plain(n) AS CASE WHEN contains(n::VARCHAR, '.') THEN rtrim(rtrim(n::VARCHAR, '0'), '.')
    ELSE n::VARCHAR END;
CREATE MACRO number(id) AS CASE WHEN regexp_full_match(id, '[0-9]{1,18}') THEN id::BIGINT END;
CREATE MACRO money(t) AS CASE WHEN length(t) <= 10 AND NOT contains(lower(t), 'e')
    THEN coalesce(TRY_CAST(t AS DECIMAL(18, 9))::DECIMAL(38, 18), TRY_CAST(t AS DECIMAL(38, 18)))
    ELSE TRY_CAST(t AS DECIMAL(38, 18)) END;
CREATE MACRO same_side(a, b) AS (a > 0) = (b > 0) AND (a < 0) = (b < 0);
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
    "flows": """
        SELECT account_id, count(*) AS transactions, count_if(change <> 0) AS moves,
               count_if(change <> 0 AND account_balance IS NULL) AS unbalanced, min(number) AS first_number,
               max(number) AS last_number, count(DISTINCT number) AS numbers,
               count_if(number IS NULL) AS unnumbered, min(id) FILTER (number IS NULL) AS first_unnumbered,
               arg_min(account_balance - change, number) FILTER (account_balance IS NOT NULL) AS first_balance,
               arg_max(account_balance, number) AS last_balance
        FROM changes GROUP BY account_id
    """,
    "broker_accounts": """
        SELECT account_id, currency, balance, last_transaction_id FROM broker_account
        UNION ALL
        SELECT account_id, NULL, last_balance, last_number::VARCHAR
        FROM flows ANTI JOIN broker_account USING (account_id)
    """,
    "pairs": """
        SELECT l.account_id, b.account_id AS broker_account_id, row_number() OVER ()::INTEGER AS pair
        FROM accounts l JOIN broker_accounts b
          ON l.account_id = b.account_id
             OR ((SELECT count(*) FROM accounts) = 1 AND (SELECT count(*) FROM broker_accounts) = 1)
    """,
    "tied_pairs": "SELECT * FROM pairs WHERE (SELECT tied FROM this)",
    "valuations": """
        SELECT a.*, greatest(a.equity - a.margin_used, 0) AS free, coalesce(p.open_positions, 0) AS open_positions,
               b.nav, b.margin_used AS broker_margin, abs(money(TRY(b.raw ->> 'positionValue'))) AS position_value
        FROM accounts a
        LEFT JOIN (SELECT account_id, count(*) AS open_positions FROM positions WHERE status = 'open' GROUP BY 1) p
          USING (account_id)
        LEFT JOIN tied_pairs USING (account_id) LEFT JOIN broker_account b ON b.account_id = broker_account_id
    """,
    "totals": """
        SELECT account_id, balance, opening_balance + coalesce(amounts, 0) AS total, coalesce(events, 0) AS events,
               coalesce(last_balance, opening_balance) AS last_balance, event_id
        FROM accounts LEFT JOIN (
            SELECT account_id, sum(amount) AS amounts, count(*) AS events,
                   arg_max(balance_after, sequence) AS last_balance, arg_max(event_id, sequence) AS event_id
            FROM balance_events GROUP BY account_id
        ) USING (account_id)
    """,
    "starts": """
        WITH firsts AS (
            SELECT p.account_id, p.broker_account_id, a.opening_balance, f.first_number,
                   coalesce(a.opening_balance = f.first_balance, false) AS opened_first
            FROM tied_pairs p JOIN accounts a USING (account_id)
            LEFT JOIN flows f ON f.account_id = p.broker_account_id
        ), matches AS (
            SELECT f.account_id, min(c.number) AS opened_after
            FROM changes c JOIN firsts f ON c.account_id = f.broker_account_id AND c.account_balance = f.opening_balance
            WHERE NOT opened_first GROUP BY f.account_id
        )
        SELECT account_id, broker_account_id, first_number,
               CASE WHEN opened_first THEN first_number - 1 ELSE opened_after END AS opened_after
        FROM firsts LEFT JOIN matches USING (account_id)
    """,
    "unequal": """
        WITH moved AS (
            SELECT s.account_id, id, change FROM changes c JOIN starts s ON c.account_id = s.broker_account_id
            WHERE change <> 0 OR account_balance IS NOT NULL
        ), booked AS (
            SELECT account_id, broker_transaction_id AS id, sum(amount) AS booked
            FROM balance_events SEMI JOIN starts USING (account_id) WHERE broker_transaction_id IS NOT NULL
            GROUP BY ALL
        ), sums AS (
            SELECT account_id, id, coalesce(max(change), 0) AS moved, any_value(booked) AS booked
            FROM moved FULL JOIN booked USING (account_id, id)
            WHERE change IS NULL OR change <> coalesce(booked, 0) GROUP BY ALL
        ), named AS (
            SELECT account_id, broker_transaction_id AS id, min(event_id) AS event_id
            FROM balance_events b SEMI JOIN sums s ON b.account_id = s.account_id AND b.broker_transaction_id = s.id
            GROUP BY ALL
        )
        SELECT u.*, event_id, s.first_number, t.id AS broker_id,
               t.type, number(u.id) > coalesce(opened_after, -1) AS is_due
        FROM sums u JOIN starts s USING (account_id) LEFT JOIN named USING (account_id, id)
        LEFT JOIN broker_transactions t ON t.account_id = s.broker_account_id AND t.id = u.id
    """,
    # Short values only: a long text costs more to keep than its JSON to read. Whose hash is equal may be equal.
    "trade_records": """
        WITH bodies AS (
            SELECT pair, t.id, t.time, t.type, t.order_id,
                   CASE WHEN reason LIKE '%STOP_LOSS_ORDER' THEN 'stop loss' WHEN reason = 'TAKE_PROFIT_ORDER'
                        THEN 'take profit' ELSE 'neither' END AS executed,
                   TRY(from_json(t.raw, '{"clientOrderID": "VARCHAR", "tradeID": "VARCHAR", "price": "VARCHAR",
                       "triggerCondition": "VARCHAR", "fullPrice": {"timestamp": "VARCHAR"},
                       "tradeOpened": {"tradeID": "VARCHAR", "units": "VARCHAR", "price": "VARCHAR"},
                       "tradeReduced": {"tradeID": "VARCHAR", "units": "VARCHAR", "price": "VARCHAR"},
                       "tradesClosed": [{"tradeID": "VARCHAR", "units": "VARCHAR", "price": "VARCHAR"}]}')) AS body
            FROM broker_transactions t JOIN tied_pairs p ON t.account_id = p.broker_account_id
            WHERE t.type IN ('ORDER_FILL', 'STOP_LOSS_ORDER', 'GUARANTEED_STOP_LOSS_ORDER',
                'TRAILING_STOP_LOSS_ORDER', 'TAKE_PROFIT_ORDER')
        ), split AS (
            SELECT * EXCLUDE (body), body.price AS whole_price,
                   CASE WHEN body.clientOrderID IS NOT NULL THEN hash(body.clientOrderID) END AS client_order_hash,
                   TRY_CAST(body.fullPrice.timestamp AS TIMESTAMPTZ) AS quoted_at,
                   TRY_CAST(coalesce(body.triggerCondition, 'DEFAULT') AS TRIGGER) AS triggered_by,
                   unnest(CASE
                       WHEN type <> 'ORDER_FILL' THEN [{
                           'kind': CASE type WHEN 'TAKE_PROFIT_ORDER' THEN 'take profit' ELSE 'stop loss' END,
                           'part': {'tradeID': body.tradeID, 'units': NULL, 'price': NULL}}]
                       ELSE list_filter(list_concat(
                           [{'kind': 'opened', 'part': body.tradeOpened},
                            {'kind': 'reduced', 'part': body.tradeReduced}],
                           list_transform(body.tradesClosed, lambda one: {'kind': 'closed', 'part': one})),
                           lambda each: each.part IS NOT NULL) END) AS one
            FROM bodies
        )
        SELECT pair, id, time, order_id, executed, client_order_hash, quoted_at, triggered_by,
               type = 'TRAILING_STOP_LOSS_ORDER' AS is_trailing, one.kind, one.part.tradeID AS trade_id,
               money(one.part.units) AS units, coalesce(money(one.part.price), money(whole_price)) AS price
        FROM split
    """,
    "parts": """
        SELECT account_id, broker_account_id, id AS fill_id, number(id) AS fill_number, time, order_id, executed,
               client_order_hash, quoted_at, kind, trade_id, units, price
        FROM trade_records JOIN tied_pairs USING (pair) WHERE kind IN ('opened', 'reduced', 'closed')
    """,
    "stops": """
        WITH placed AS (
            SELECT * FROM trade_records JOIN tied_pairs USING (pair) WHERE kind IN ('stop loss', 'take profit')
        ), ends AS (
            SELECT pair, t.order_id, min(t.time) AS ended_at
            FROM broker_transactions t JOIN tied_pairs p ON t.account_id = p.broker_account_id
            WHERE t.type IN ('ORDER_FILL', 'ORDER_CANCEL') AND t.order_id IS NOT NULL GROUP BY ALL
        )
        SELECT s.account_id, s.id AS order_id, number(s.id) AS number, s.time AS created_at, ended_at, s.kind,
               s.is_trailing, s.trade_id, s.price, o.time AS opened_at, o.units AS trade_units, s.triggered_by,
               CASE s.triggered_by WHEN 'BID' THEN true WHEN 'ASK' THEN false
                   WHEN 'INVERSE' THEN o.units < 0 WHEN 'DEFAULT' THEN o.units > 0 END AS uses_bid
        FROM placed s LEFT JOIN ends e ON e.pair = s.pair AND e.order_id = s.id
        LEFT JOIN trade_records o ON o.pair = s.pair AND o.kind = 'opened' AND o.trade_id = s.trade_id
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
            SELECT account_id FROM flows
            WHERE transactions <> last_number - first_number + 1 OR transactions <> numbers
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
        FROM changes SEMI JOIN (SELECT account_id FROM flows ANTI JOIN uneven USING (account_id) WHERE unbalanced > 0)
        USING (account_id) WHERE account_balance IS NULL AND change <> 0
        UNION ALL
        FROM holed
        WHERE account_balance <> before + change OR (account_balance IS NULL AND change <> 0)
           OR number <> before_number + 1
    """,
    "deals": """
        SELECT e.position_id, count(*) AS executions,
               count_if(same_side(e.units, p.units)) AS openings, count_if(NOT same_side(e.units, p.units))
                   AS closings,
               sum(e.units) AS units, sum(e.units) FILTER (same_side(e.units, p.units)) AS opened_units,
               arg_min(e.units, e.executed_at) AS first_units, sum(e.realized_pnl) AS realized_pnl,
               min(e.price) FILTER (same_side(e.units, p.units)) AS lowest_entry,
               max(e.price) FILTER (same_side(e.units, p.units)) AS highest_entry,
               min(e.executed_at) AS first_at, max(e.executed_at) AS last_at,
               max(e.executed_at) FILTER (same_side(e.units, p.units)) AS last_opening_at,
               min(e.executed_at) FILTER (NOT same_side(e.units, p.units)) AS first_closing_at
        FROM executions e JOIN positions p USING (position_id) GROUP BY e.position_id
    """,
    "misfits": """
        SELECT e.execution_id, e.account_id, e.position_id, e.broker_transaction_id, e.instrument, e.units, e.price,
               e.broker_trade_id, f.account_id AS fill_account_id, f.fill_id, f.fill_number, f.trade_id,
               f.units AS fill_units, f.price AS fill_price, e.executed_at, f.time AS fill_time
        FROM (SELECT e.*, p.broker_trade_id, e.account_id IN (SELECT account_id FROM tied_pairs)
                  AS is_tied, coalesce(
                  p.account_id <> e.account_id OR p.instrument <> e.instrument, p.position_id IS NULL) AS is_odd
              FROM executions e LEFT JOIN positions p USING (position_id)) e
        FULL JOIN parts f ON f.account_id = e.account_id AND f.fill_id = e.broker_transaction_id
            AND f.trade_id = e.broker_trade_id
        WHERE e.execution_id IS NULL OR is_odd OR (f.fill_id IS NULL AND broker_transaction_id IS NOT NULL AND is_tied)
           OR e.units <> f.units OR e.price <> f.price OR e.executed_at < f.time - INTERVAL 5 SECOND
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
    "creations": """
        SELECT position_id, told.instrument AS told_instrument, money(told.units) AS told_units,
               money(told.entry_price) AS told_price
        FROM (SELECT position_id, TRY(from_json(payload, '{"instrument": "VARCHAR", "units": "VARCHAR",
                  "entry_price": "VARCHAR"}')) AS told FROM position_events WHERE event_type = 'POSITION_CREATED')
    """,
}

VIEWS = frozenset({"parts", "creations"})
NAMES = (*SHARED, "earnings", "touches")

_MADE_FROM = {
    "broker_accounts": ("flows",),
    "pairs": ("broker_accounts",),
    "tied_pairs": ("pairs",),
    "valuations": ("tied_pairs",),
    "starts": ("tied_pairs", "flows"),
    "unequal": ("starts",),
    "trade_records": ("tied_pairs",),
    "parts": ("trade_records", "tied_pairs"),
    "stops": ("tied_pairs", "trade_records"),
    "breaks": ("flows",),
    "misfits": ("tied_pairs", "parts"),
    "touches": ("tied_pairs", "parts", "stops"),
}


def needed(names: Iterable[str]) -> list[str]:
    """The shared tables to make, in the order in which one is made from another."""
    wanted = set(names)
    for name in reversed(NAMES):
        if name in wanted:
            wanted.update(_MADE_FROM.get(name, ()))
    return [name for name in NAMES if name in wanted]
