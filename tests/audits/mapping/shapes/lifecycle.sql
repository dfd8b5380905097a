-- A system over a hosted Postgres: positions with a side, money columns renamed once, executions without an account.
CREATE TABLE account_balances (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), account_id text UNIQUE NOT NULL, equity numeric NOT NULL,
    balance numeric NOT NULL, margin_used numeric, free_margin numeric, leverage integer, is_paper boolean,
    updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE positions (
    id uuid PRIMARY KEY, execution_trade_id text, account_id text NOT NULL, pair text NOT NULL, side text NOT NULL,
    size numeric NOT NULL, avg_entry_price numeric NOT NULL, leverage integer, margin_used numeric,
    unrealized_pnl numeric, realized_pnl numeric NOT NULL DEFAULT 0, status text NOT NULL, stop_loss numeric,
    take_profit numeric, close_reason text, opened_at timestamptz NOT NULL, closed_at timestamptz);
CREATE TABLE account_balance_events (
    id bigserial PRIMARY KEY, account_id text NOT NULL, event_type text NOT NULL, balance_before numeric NOT NULL,
    balance_after numeric NOT NULL, amount numeric NOT NULL, reason text, position_id uuid, execution_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(), CHECK (balance_after = balance_before + amount));
CREATE TABLE position_events (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), position_id uuid REFERENCES positions (id) ON DELETE CASCADE,
    event_type text NOT NULL, previous_status text, new_status text, payload jsonb NOT NULL DEFAULT '{}',
    idempotency_key text UNIQUE, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE trade_executions (
    id uuid PRIMARY KEY, position_id uuid NOT NULL REFERENCES positions (id), order_id uuid, execution_type text NOT NULL,
    price numeric NOT NULL, size numeric NOT NULL, commission numeric NOT NULL DEFAULT 0, executed_at timestamptz NOT NULL);
CREATE TABLE execution_orders (
    id uuid PRIMARY KEY, broker_order_id text, symbol text NOT NULL, side text NOT NULL, order_type text NOT NULL,
    size numeric NOT NULL, filled_size numeric, status text NOT NULL, created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL);
CREATE TABLE reconciliation_log (
    reconciliation_id uuid PRIMARY KEY, account_id text NOT NULL, positions_checked integer NOT NULL,
    discrepancies_found integer NOT NULL, discrepancies jsonb, actions_taken jsonb, duration_ms integer NOT NULL,
    created_at timestamptz NOT NULL);
CREATE TABLE transaction_log (id bigserial PRIMARY KEY, note text);

INSERT INTO account_balances (account_id, equity, balance) VALUES ('acct-1', 10040, 10040);
INSERT INTO positions VALUES
    ('00000000-0000-0000-0000-000000000001', null, 'acct-1', 'EUR/USD', 'BUY', 1000, 1.10, 50, 22, 0, 50, 'CLOSED',
     1.09, 1.15, 'TAKE_PROFIT', '2026-11-22 10:00Z', '2026-11-22 11:00Z'),
    ('00000000-0000-0000-0000-000000000002', null, 'acct-1', 'EUR/USD', 'SELL', 500, 1.16, 50, 11, 0, 0, 'OPEN',
     1.18, 1.10, null, '2026-11-22 12:00Z', null);
INSERT INTO execution_orders VALUES
    ('00000000-0000-0000-0000-00000000000a', '7', 'EUR/USD', 'BUY', 'MARKET', 1000, 1000, 'FILLED',
     '2026-11-22 10:00Z', '2026-11-22 10:00Z'),
    ('00000000-0000-0000-0000-00000000000b', '9', 'EUR/USD', 'SELL', 'MARKET', 500, 500, 'FILLED',
     '2026-11-22 12:00Z', '2026-11-22 12:00Z');
INSERT INTO trade_executions VALUES
    (gen_random_uuid(), '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-00000000000a', 'ENTRY', 1.10,
     1000, 5, '2026-11-22 10:00Z'),
    (gen_random_uuid(), '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-00000000000a', 'TAKE_PROFIT',
     1.15, 1000, 5, '2026-11-22 11:00Z'),
    (gen_random_uuid(), '00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-00000000000b', 'ENTRY', 1.16,
     500, 0, '2026-11-22 12:00Z');
INSERT INTO position_events (position_id, event_type, payload, created_at) VALUES
    ('00000000-0000-0000-0000-000000000001', 'POSITION_OPENED', '{}', '2026-11-22 10:00Z'),
    ('00000000-0000-0000-0000-000000000001', 'POSITION_CLOSED', '{}', '2026-11-22 11:00Z'),
    ('00000000-0000-0000-0000-000000000002', 'POSITION_OPENED', '{}', '2026-11-22 12:00Z');
-- Every row adds up, as the table demands; the second does not start where the first ended.
INSERT INTO account_balance_events (account_id, event_type, balance_before, balance_after, amount, created_at) VALUES
    ('acct-1', 'DEPOSIT', 0, 10000, 10000, '2026-11-22 09:00Z'),
    ('acct-1', 'PNL_REALIZED', 10050, 10100, 50, '2026-11-22 11:00Z'),
    ('acct-1', 'COMMISSION', 10100, 10090, -10, '2026-11-22 11:00Z');
INSERT INTO reconciliation_log VALUES (gen_random_uuid(), 'acct-1', 2, 0, '[]', '[]', 40, '2026-11-22 12:30Z');
ANALYZE;
