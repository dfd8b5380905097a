"""Correct books of any size, made inside PostgreSQL set by set: a ledger and the broker's records of the same trading.

Four accounts trade in rounds. A round of one account is four positions, each opened with a stop, held for eleven
nights, closed to two fifths and then wholly; the last round stays open. It makes 64 balance events, 44 position events,
12 orders and executions, and 43 transactions at the broker. Every number follows from the round and the position by
arithmetic, so that each of the two sides can be written without the other, and both must agree.
"""

import psycopg

from audits.contract import BALANCE_EVENTS, BROKER_RELATIONS, RELATIONS, Kind

ACCOUNTS = 4
EVENTS_A_ROUND = 64
_TYPES = {
    Kind.TEXT: "text",
    Kind.EXACT: "numeric",
    Kind.COUNT: "bigint",
    Kind.MOMENT: "timestamptz",
    Kind.JSON: "jsonb",
}

# One row a position: where its transactions (fill, partial, closing) and balance events stand, and its numbers.
TRADES = """
    CREATE TEMP TABLE trades AS
    SELECT *, account_id || '-position-' || opened AS position_id, account_id || '-execution-' AS execution,
           account_id || '-order-' AS ordered,
           entry + gain1 AS price1, entry + gain2 AS price2,
           round(gain1 * part, 4) AS pnl1, round(gain2 * rest, 4) AS pnl2,
           round(abs(units) * entry * 0.02, 4) AS margin, round(abs(units) * 0.00002, 4) AS fee
    FROM (
        SELECT '101-001-9000001-00' || a AS account_id, b, i, b = %(rounds)s - 1 AS is_open,
               4 + 43 * b + 3 * i AS opened, 27 + 43 * b + 2 * i AS reduced, 35 + 43 * b + 3 * i AS closed,
               2 + 64 * b + i AS opened_at, 50 + 64 * b + 2 * i AS reduced_at, 58 + 64 * b + 2 * i AS closed_at,
               (ARRAY['EUR_USD', 'GBP_USD', 'AUD_USD'])[1 + (b + i) %% 3] AS instrument,
               (1 - 2 * ((b + i) %% 2)) * (1000 + (b * 13 + i * 7) %% 900 * 50)::numeric AS units,
               1.10000 + ((b * 7919 + i * 4729) %% 2000) * 0.00001 AS entry,
               ((b * 31 + i * 17) %% 201 - 100) * 0.00001 AS gain1, ((b * 37 + i * 11) %% 199 - 99) * 0.00001 AS gain2
        FROM generate_series(1, %(accounts)s) AS a, generate_series(0, %(rounds)s - 1) AS b,
             generate_series(0, 3) AS i
    ) AS arithmetic, LATERAL (SELECT round(units * 2 / 5) AS part, units - round(units * 2 / 5) AS rest) AS parts
"""

NIGHTS = """
    CREATE TEMP TABLE nights AS
    SELECT account_id, b, i, position_id, night, 15 + 43 * b + night AS transaction, 6 + 64 * b + 4 * night + i AS at,
           -0.0125 * (1 + (b + i + night) % 5) AS amount
    FROM trades, generate_series(0, 10) AS night
"""

DEALS = """
    CREATE TEMP TABLE deals AS
    SELECT account_id, position_id, instrument, execution || transaction AS execution_id,
           ordered || transaction AS order_id, transaction, deal, dealt, price, pnl, fee, at
    FROM trades, LATERAL (VALUES
        ('open', opened, units, entry, 0.0000, opened_at, true),
        ('part', reduced, -part, price1, pnl1, reduced_at, true),
        ('close', closed, -rest, price2, pnl2, closed_at, NOT is_open)
    ) AS step (deal, transaction, dealt, price, pnl, at, happened)
    WHERE happened
"""

RUNNING = """
    INSERT INTO {schema}.balance_events
    SELECT account_id || '/' || at, account_id, at, event_type, after - amount, amount, after, position_id,
           execution_id, transaction::text, {moment}, {moment} + interval '20 ms'
    FROM (
        SELECT *, sum(amount) OVER (PARTITION BY account_id ORDER BY at) AS after
        FROM (
            SELECT DISTINCT account_id, 1::bigint AS at, 'DEPOSIT' AS event_type, 1000000.0000 AS amount,
                   NULL AS position_id, NULL AS execution_id, 2::bigint AS transaction FROM trades
            UNION ALL
            SELECT account_id, at, 'FINANCING', amount, position_id, NULL, transaction FROM nights
            UNION ALL
            SELECT account_id, at, 'PNL_REALIZED', pnl, position_id, execution_id, transaction FROM deals
            WHERE deal <> 'open'
            UNION ALL
            SELECT account_id, at + (deal <> 'open')::int, 'COMMISSION', -fee, position_id, execution_id, transaction
            FROM deals
        ) AS amounts
    ) AS running
"""

# The broker's balance after each transaction that moves money: that of the last event that it gave.
BALANCES = """
    CREATE TEMP TABLE balances AS
    SELECT DISTINCT ON (account_id, transaction) account_id, broker_transaction_id::bigint AS transaction,
           balance_after AS balance
    FROM {schema}.balance_events AS event, LATERAL (SELECT broker_transaction_id::bigint AS transaction) AS id
    ORDER BY account_id, transaction, sequence DESC
"""

LEDGER = {
    "orders": """
        SELECT order_id, account_id, position_id, order_id, (transaction - 1)::text, instrument, dealt, 'market',
               'filled', {moment} - interval '50 ms', {moment} + interval '20 ms'
        FROM deals
    """,
    "executions": """
        SELECT execution_id, account_id, order_id, position_id, transaction::text, instrument, dealt, price, 1, pnl,
               fee, {moment}
        FROM deals
    """,
    "positions": """
        SELECT position_id, account_id, opened::text, instrument, units, CASE WHEN is_open THEN rest ELSE 0 END, entry,
               entry - sign(units) * 0.01, NULL, CASE WHEN is_open THEN round(margin * rest / units, 4) ELSE 0 END,
               CASE WHEN is_open THEN 'open' ELSE 'closed' END, pnl1 + CASE WHEN is_open THEN 0 ELSE pnl2 END,
               CASE WHEN NOT is_open THEN 'MARKET' END, {opened}, CASE WHEN NOT is_open THEN {closed} END
        FROM trades
    """,
    "position_events": """
        SELECT position_id || '/' || sequence, position_id, sequence, event_type, payload,
               position_id || ':' || transaction || ':' || event_type, {moment}, {moment} + interval '20 ms'
        FROM trades, LATERAL (VALUES
            (1, 'POSITION_CREATED', opened, jsonb_build_object('broker_trade_id', opened::text, 'instrument',
                instrument, 'units', units::text, 'entry_price', entry::text, 'stop_loss',
                (entry - sign(units) * 0.01)::text, 'take_profit', NULL)),
            (2, 'ORDER_FILLED', opened, jsonb_build_object('execution_id', execution || opened, 'order_id',
                ordered || opened, 'broker_transaction_id', opened::text, 'units', units::text, 'price', entry::text)),
            (3, 'MARGIN_RESERVED', opened, jsonb_build_object('margin_used', margin::text)),
            (4, 'ORDER_FILLED', reduced, jsonb_build_object('execution_id', execution || reduced, 'order_id',
                ordered || reduced, 'broker_transaction_id', reduced::text, 'units', (-part)::text, 'price',
                price1::text)),
            (5, 'PARTIAL_CLOSE', reduced, jsonb_build_object('units', (-part)::text, 'units_open', rest::text)),
            (6, 'PNL_REALIZED', reduced, jsonb_build_object('execution_id', execution || reduced, 'realized_pnl',
                pnl1::text)),
            (7, 'MARGIN_UPDATED', reduced, jsonb_build_object('margin_used', round(margin * rest / units, 4)::text)),
            (8, 'ORDER_FILLED', closed, jsonb_build_object('execution_id', execution || closed, 'order_id',
                ordered || closed, 'broker_transaction_id', closed::text, 'units', (-rest)::text, 'price',
                price2::text)),
            (9, 'PNL_REALIZED', closed, jsonb_build_object('execution_id', execution || closed, 'realized_pnl',
                pnl2::text)),
            (10, 'MARGIN_RELEASED', closed, jsonb_build_object('margin_used', '0')),
            (11, 'POSITION_CLOSED', closed, jsonb_build_object('close_reason', 'MARKET'))
        ) AS step (sequence, event_type, transaction, payload)
        WHERE NOT is_open OR sequence <= 7
    """,
    "accounts": """
        SELECT account_id, 'USD', 0, balance, balance + 5, margin_used, balance + 5 - margin_used, {last}
        FROM (SELECT account_id, balance_after AS balance FROM {schema}.balance_events JOIN
                (SELECT account_id, max(sequence) AS sequence FROM {schema}.balance_events GROUP BY account_id) AS last
                USING (account_id, sequence)) AS ended
        JOIN (SELECT account_id, sum(margin_used) AS margin_used FROM {schema}.positions GROUP BY account_id) AS used
        USING (account_id)
    """,
    "reconciliations": """
        SELECT account_id || '-reconciliation-' || b, account_id, {moment}, 12.5, 4, 0
        FROM (SELECT account_id, b, 34 + 43 * b AS transaction FROM trades WHERE i = 3) AS rounds
    """,
}


def moment_of(transaction: str) -> str:
    """Return the SQL of a transaction's time: ten seconds after the one before."""
    return f"(timestamptz '2026-01-01 00:00:00+00' + {transaction} * interval '10 s')"


def build_books(connection: psycopg.Connection, balance_events: int, schema: str = "wartest") -> tuple[int, int]:
    """Create the seven relations and the broker's three in `schema`, about `balance_events` of them.

    Returns how many rows there are in all, and how many balance events. The connection's transaction is committed.
    """
    rounds = max(2, round((balance_events / ACCOUNTS + 7) / EVENTS_A_ROUND))
    connection.execute(f"CREATE SCHEMA {schema}")
    connection.execute("SET LOCAL work_mem = '512MB'; SET LOCAL synchronous_commit = off")
    for relation in (*RELATIONS, *BROKER_RELATIONS):
        columns = ", ".join(f"{column.name} {_TYPES[column.kind]}" for column in relation.columns)
        connection.execute(f"CREATE UNLOGGED TABLE {schema}.{relation.name} ({columns})")
    connection.execute(TRADES, {"rounds": rounds, "accounts": ACCOUNTS})
    names = {
        "schema": schema,
        "moment": moment_of("transaction"),
        # A stop is placed with its fill, and cancelled with the fill that closes its trade.
        "placed": moment_of("(transaction - (type IN ('STOP_LOSS_ORDER', 'ORDER_CANCEL'))::int)"),
        "opened": moment_of("opened"),
        "closed": moment_of("closed"),
        "last": moment_of(str(34 + 43 * (rounds - 1))),
    }
    for statement in (NIGHTS, DEALS, RUNNING, BALANCES):
        connection.execute(_filled(statement, names))
    for relation_name, query in (LEDGER | BROKER).items():
        connection.execute(_filled(f"INSERT INTO {{schema}}.{relation_name} {query}", names))
    connection.execute("DROP TABLE trades, nights, deals, balances")
    connection.commit()
    connection.autocommit = True
    connection.execute("VACUUM ANALYZE")
    counts = {}
    for relation in (*RELATIONS, *BROKER_RELATIONS):
        found = connection.execute(f"SELECT count(*) FROM {schema}.{relation.name}").fetchone()  # noqa: S608
        counts[relation] = int(found[0]) if found else 0
    return sum(counts.values()), counts[BALANCE_EVENTS]


def _filled(statement: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        statement = statement.replace("{" + name + "}", value)
    return statement


# The broker's records. A transaction's raw record holds what OANDA's would, without what no check reads.
BROKER = {
    "broker_transactions": """
        SELECT transaction::text, account_id, {placed}, type, NULL, balance, pl, financing, commission, guaranteed,
               NULL, amount, order_id, reason, jsonb_strip_nulls(raw || jsonb_build_object('id', transaction::text,
               'accountID', account_id, 'type', type, 'time', to_char({placed} AT TIME ZONE 'UTC',
               'YYYY-MM-DD"T"HH24:MI:SS.US"000Z"'), 'reason', reason, 'orderID', order_id, 'accountBalance',
               balance::text, 'pl', pl::text, 'financing', financing::text, 'commission', commission::text, 'amount',
               amount::text, 'guaranteedExecutionFee', guaranteed::text))
        FROM (
            SELECT DISTINCT account_id, 1::bigint AS transaction, 'CREATE' AS type, NULL::numeric AS pl,
                   NULL::numeric AS financing, NULL::numeric AS commission, NULL::numeric AS guaranteed,
                   NULL::numeric AS amount, NULL AS order_id, NULL AS reason,
                   jsonb_build_object('homeCurrency', 'USD') AS raw
            FROM trades
            UNION ALL
            SELECT DISTINCT account_id, 2::bigint, 'TRANSFER_FUNDS', NULL::numeric, NULL::numeric, NULL::numeric,
                   NULL::numeric, 1000000.0000, NULL, 'CLIENT_FUNDING', '{}'::jsonb
            FROM trades
            UNION ALL
            SELECT account_id, transaction - 1, 'MARKET_ORDER', NULL, NULL, NULL, NULL, NULL, NULL,
                   CASE deal WHEN 'open' THEN 'CLIENT_ORDER' ELSE 'TRADE_CLOSE' END,
                   jsonb_build_object('instrument', instrument, 'units', dealt::text, 'timeInForce', 'FOK',
                   'clientExtensions', jsonb_build_object('id', order_id))
            FROM deals
            UNION ALL
            SELECT account_id, transaction, 'ORDER_FILL', pnl, 0.0000, fee, 0.0000, NULL, (transaction - 1)::text,
                   CASE deal WHEN 'open' THEN 'MARKET_ORDER' ELSE 'MARKET_ORDER_TRADE_CLOSE' END,
                   jsonb_build_object('instrument', instrument, 'units', dealt::text, 'price', price::text,
                   'clientOrderID', order_id) || CASE deal
                   WHEN 'open' THEN jsonb_build_object('tradeOpened', jsonb_build_object('tradeID',
                       split_part(position_id, '-position-', 2), 'units', dealt::text, 'price', price::text))
                   WHEN 'part' THEN jsonb_build_object('tradeReduced', jsonb_build_object('tradeID',
                       split_part(position_id, '-position-', 2), 'units', dealt::text, 'price', price::text,
                       'realizedPL', pnl::text, 'financing', '0.0000'))
                   ELSE jsonb_build_object('tradesClosed', jsonb_build_array(jsonb_build_object('tradeID',
                       split_part(position_id, '-position-', 2), 'units', dealt::text, 'price', price::text,
                       'realizedPL', pnl::text, 'financing', '0.0000'))) END
            FROM deals
            UNION ALL
            SELECT account_id, opened + 1, 'STOP_LOSS_ORDER', NULL, NULL, NULL, NULL, NULL, NULL, 'ON_FILL',
                   jsonb_build_object('tradeID', opened::text, 'price', (entry - sign(units) * 0.01)::text,
                   'timeInForce', 'GTC', 'triggerCondition', 'DEFAULT', 'orderFillTransactionID', opened::text)
            FROM trades
            UNION ALL
            SELECT account_id, closed + 1, 'ORDER_CANCEL', NULL, NULL, NULL, NULL, NULL, (opened + 1)::text,
                   'LINKED_TRADE_CLOSED', jsonb_build_object('closedTradeID', opened::text, 'tradeCloseTransactionID',
                   closed::text)
            FROM trades WHERE NOT is_open
            UNION ALL
            SELECT account_id, transaction, 'DAILY_FINANCING', NULL, sum(amount), NULL, NULL, NULL, NULL, NULL,
                   jsonb_build_object('accountFinancingMode', 'DAILY', 'positionFinancings', jsonb_agg(
                   jsonb_build_object('financing', amount::text, 'openTradeFinancings', jsonb_build_array(
                   jsonb_build_object('tradeID', split_part(position_id, '-position-', 2), 'financing',
                   amount::text)))))
            FROM nights GROUP BY account_id, transaction
        ) AS records LEFT JOIN balances USING (account_id, transaction)
    """,
    "broker_trades": """
        SELECT opened::text, account_id, instrument, rest, units, entry, 1.25, {opened},
               jsonb_build_object('id', opened::text, 'instrument', instrument, 'currentUnits', rest::text,
               'initialUnits', units::text, 'price', entry::text, 'unrealizedPL', '1.2500', 'state', 'OPEN')
        FROM trades WHERE is_open
    """,
    "broker_account": """
        SELECT account_id, currency, balance, equity, 5, margin_used, 4, transaction::text,
               jsonb_build_object('id', account_id, 'currency', currency, 'balance', balance::text, 'NAV', equity::text,
               'unrealizedPL', '5.0000', 'marginUsed', margin_used::text, 'openTradeCount', 4, 'lastTransactionID',
               transaction::text)
        FROM {schema}.accounts JOIN (SELECT account_id, max(reduced) AS transaction FROM trades GROUP BY account_id)
             AS last USING (account_id)
    """,
}
