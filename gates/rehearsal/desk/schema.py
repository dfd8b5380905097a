"""The desk's tables: seven public relations in schema `wartest`, its private ones in schema `desk`.

Uniqueness is what makes booking twice impossible: gapless numbers per position and per account, one
execution per broker transaction and position, one balance event per broker transaction, kind and position.
"""

from hashlib import sha256

from psycopg import AsyncConnection

LOCK_KEY = 7_731_001  # any fixed number: two desks starting at once create the tables one after the other

STATEMENTS = (
    "CREATE SCHEMA IF NOT EXISTS wartest",
    "CREATE SCHEMA IF NOT EXISTS desk",
    """CREATE TABLE IF NOT EXISTS wartest.accounts (
        account_id text PRIMARY KEY, currency text NOT NULL, opening_balance numeric NOT NULL,
        balance numeric NOT NULL, equity numeric, margin_used numeric, margin_available numeric,
        updated_at timestamptz NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS wartest.positions (
        position_id text PRIMARY KEY, account_id text NOT NULL REFERENCES wartest.accounts,
        broker_trade_id text, instrument text NOT NULL, units numeric NOT NULL CHECK (units <> 0),
        units_open numeric NOT NULL, entry_price numeric NOT NULL, stop_loss numeric, take_profit numeric,
        margin_used numeric, status text NOT NULL CHECK (status IN ('open', 'closed')),
        realized_pnl numeric NOT NULL DEFAULT 0, close_reason text, opened_at timestamptz NOT NULL,
        closed_at timestamptz, UNIQUE (account_id, broker_trade_id),
        CHECK ((status = 'closed') = (units_open = 0)), CHECK ((status = 'closed') = (closed_at IS NOT NULL)))""",
    """CREATE TABLE IF NOT EXISTS wartest.orders (
        order_id text PRIMARY KEY, account_id text NOT NULL REFERENCES wartest.accounts,
        position_id text REFERENCES wartest.positions, client_order_id text, broker_order_id text,
        instrument text NOT NULL, units numeric NOT NULL, order_type text NOT NULL,
        status text NOT NULL CHECK (status IN
            ('pending', 'submitted', 'partially_filled', 'filled', 'cancelled', 'rejected')),
        created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
        UNIQUE (account_id, client_order_id), UNIQUE (account_id, broker_order_id))""",
    """CREATE TABLE IF NOT EXISTS wartest.executions (
        execution_id text PRIMARY KEY, account_id text NOT NULL REFERENCES wartest.accounts,
        order_id text NOT NULL REFERENCES wartest.orders, position_id text NOT NULL REFERENCES wartest.positions,
        broker_transaction_id text, instrument text NOT NULL, units numeric NOT NULL CHECK (units <> 0),
        price numeric NOT NULL, conversion_rate numeric NOT NULL, realized_pnl numeric NOT NULL,
        commission numeric NOT NULL CHECK (commission >= 0), executed_at timestamptz NOT NULL,
        UNIQUE (account_id, broker_transaction_id, position_id))""",
    """CREATE TABLE IF NOT EXISTS wartest.position_events (
        event_id text PRIMARY KEY, position_id text NOT NULL REFERENCES wartest.positions,
        sequence bigint NOT NULL CHECK (sequence > 0), event_type text NOT NULL, payload jsonb NOT NULL,
        idempotency_key text UNIQUE, occurred_at timestamptz NOT NULL, recorded_at timestamptz NOT NULL,
        UNIQUE (position_id, sequence))""",
    """CREATE TABLE IF NOT EXISTS wartest.balance_events (
        event_id text PRIMARY KEY, account_id text NOT NULL REFERENCES wartest.accounts,
        sequence bigint NOT NULL CHECK (sequence > 0), event_type text NOT NULL,
        balance_before numeric NOT NULL, amount numeric NOT NULL, balance_after numeric NOT NULL,
        position_id text REFERENCES wartest.positions, execution_id text REFERENCES wartest.executions,
        broker_transaction_id text, occurred_at timestamptz NOT NULL, recorded_at timestamptz NOT NULL,
        UNIQUE (account_id, sequence), CHECK (balance_before + amount = balance_after),
        UNIQUE NULLS NOT DISTINCT (account_id, broker_transaction_id, event_type, position_id))""",
    """CREATE TABLE IF NOT EXISTS wartest.reconciliations (
        reconciliation_id text PRIMARY KEY, account_id text NOT NULL REFERENCES wartest.accounts,
        started_at timestamptz NOT NULL, duration_ms numeric NOT NULL, positions_checked integer NOT NULL,
        mismatches integer NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS desk.cursors (
        account_id text PRIMARY KEY REFERENCES wartest.accounts, last_transaction_id bigint NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS desk.closings (
        order_id text PRIMARY KEY REFERENCES wartest.orders, broker_trade_id text NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS desk.protections (
        account_id text NOT NULL, broker_order_id text NOT NULL, stop_loss numeric, take_profit numeric,
        PRIMARY KEY (account_id, broker_order_id))""",
    """CREATE TABLE IF NOT EXISTS desk.replays (
        replay_id text PRIMARY KEY, account_id text NOT NULL, started_at timestamptz NOT NULL,
        events integer NOT NULL, differences jsonb NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS orders_unfinished ON wartest.orders (created_at) "
    "WHERE status IN ('pending', 'submitted')",
    "CREATE INDEX IF NOT EXISTS positions_open ON wartest.positions (account_id) WHERE status = 'open'",
)


async def create_schema(connection: AsyncConnection[dict[str, object]]) -> None:
    """Creates what is missing, inside the caller's transaction; safe to repeat and to race.

    A comment on the private schema says of which tables it was, so that a start finds out by one question.
    """
    edition = sha256("\n".join(STATEMENTS).encode()).hexdigest()
    if await _edition(connection) == edition:
        return
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK_KEY,))
    for statement in STATEMENTS:
        await connection.execute(statement.encode())
    await connection.execute(f"COMMENT ON SCHEMA desk IS '{edition}'".encode())


async def _edition(connection: AsyncConnection[dict[str, object]]) -> object:
    found = await connection.execute("SELECT obj_description(to_regnamespace('desk'), 'pg_namespace') AS edition")
    row = await found.fetchone()
    return row["edition"] if row else None
