CREATE SCHEMA harbor;
CREATE TABLE harbor.account_balances (
  account_id text PRIMARY KEY, currency text NOT NULL, initial_balance numeric NOT NULL, balance numeric NOT NULL,
  margin_used numeric NOT NULL DEFAULT 0, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE harbor.execution_orders (
  id uuid PRIMARY KEY, account_id text NOT NULL, position_id uuid, client_order_id text UNIQUE, broker_order_id text,
  symbol text NOT NULL, side text NOT NULL, size numeric NOT NULL, status text NOT NULL, stop_loss numeric,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(), updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE harbor.positions (
  id uuid PRIMARY KEY, account_id text NOT NULL, pair text NOT NULL, side text NOT NULL, size numeric NOT NULL,
  open_size numeric NOT NULL, avg_entry_price numeric NOT NULL, margin_used numeric NOT NULL, stop_loss numeric,
  realized_pnl numeric NOT NULL DEFAULT 0, status text NOT NULL, close_reason text, broker_trade_id text UNIQUE,
  opened_at timestamptz NOT NULL, closed_at timestamptz);
CREATE TABLE harbor.trade_executions (
  id uuid PRIMARY KEY, account_id text NOT NULL, position_id uuid NOT NULL REFERENCES harbor.positions,
  order_id uuid NOT NULL, broker_tx_id text,
  pair text NOT NULL, side text NOT NULL, size numeric NOT NULL, price numeric NOT NULL, conversion_rate numeric NOT NULL,
  realized_pnl numeric NOT NULL, commission numeric NOT NULL, executed_at timestamptz NOT NULL);
CREATE TABLE harbor.position_events (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), position_id uuid NOT NULL, seq integer NOT NULL,
  event_type text NOT NULL, payload jsonb NOT NULL, event_time timestamptz NOT NULL,
  stored_at timestamptz NOT NULL DEFAULT clock_timestamp(), UNIQUE (position_id, seq));
CREATE TABLE harbor.account_balance_events (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), account_id text NOT NULL, seq integer NOT NULL,
  event_type text NOT NULL, balance_before numeric NOT NULL, amount numeric NOT NULL, balance_after numeric NOT NULL,
  position_id uuid, execution_id uuid, broker_tx_id text, event_time timestamptz NOT NULL,
  stored_at timestamptz NOT NULL DEFAULT clock_timestamp(), UNIQUE (account_id, seq));
CREATE TABLE harbor.reconciliation_log (
  reconciliation_id uuid PRIMARY KEY, account_id text NOT NULL, started_at timestamptz NOT NULL,
  duration_ms integer NOT NULL, positions_checked integer NOT NULL, discrepancies_found integer NOT NULL);
