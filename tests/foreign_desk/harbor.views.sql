-- The seven relations of the ledger contract, as views over the books of Harbor, as map_ledger wrote them but for order_type
-- Read it, mend what is marked with "<<", and run it once as an owner of the database:
--     psql "$LEDGER_URL" --set ON_ERROR_STOP=1 --file harbor.views.sql
-- Nothing but views in the schema wartest is created; no table of yours is touched.
-- A number behind a source says how sure the proposal is, 0 to 100. A COMMENT marks what the view makes up or lacks,
-- so that no check passes by it: take the line out, and write IS NULL, once the column is the ledger's own.

BEGIN;
CREATE SCHEMA IF NOT EXISTS wartest;

-- accounts: from harbor.account_balances (95)
CREATE OR REPLACE VIEW wartest.accounts AS SELECT
    t.account_id AS account_id,  -- harbor.account_balances.account_id (100)
    t.currency AS currency,  -- harbor.account_balances.currency (100)
    t.initial_balance AS opening_balance,  -- harbor.account_balances.initial_balance (92)
    t.balance AS balance,  -- harbor.account_balances.balance (100)
    NULL::numeric AS equity,  -- nothing found; may stay null
    t.margin_used AS margin_used,  -- harbor.account_balances.margin_used (100)
    NULL::numeric AS margin_available,  -- nothing found; may stay null
    t.updated_at AS updated_at  -- harbor.account_balances.updated_at (100)
FROM harbor.account_balances AS t;

-- orders: from harbor.execution_orders (87)
CREATE OR REPLACE VIEW wartest.orders AS SELECT
    t.id::text AS order_id,  -- harbor.execution_orders.id (100)
    t.account_id AS account_id,  -- harbor.execution_orders.account_id (100)
    t.position_id::text AS position_id,  -- harbor.execution_orders.position_id (100)
    t.client_order_id AS client_order_id,  -- harbor.execution_orders.client_order_id (100)
    t.broker_order_id AS broker_order_id,  -- harbor.execution_orders.broker_order_id (100)
    replace(upper(t.symbol::text), '/', '_') AS instrument,  -- harbor.execution_orders.symbol (92); written as the broker writes it: EUR_USD
    abs(t.size) * CASE WHEN lower(t.side::text) IN ('buy', 'long', 'b') THEN 1 WHEN lower(t.side::text) IN ('sell', 'short', 's') THEN -1 END AS units,  -- harbor.execution_orders.size and its side (85)
    'MARKET'::text AS order_type,  -- by hand: this desk sends no others
    CASE lower(t.status::text) WHEN 'accepted' THEN 'submitted' WHEN 'active' THEN 'submitted' WHEN 'canceled' THEN 'cancelled' WHEN 'cancelled' THEN 'cancelled' WHEN 'closed' THEN 'filled' WHEN 'complete' THEN 'filled' WHEN 'completed' THEN 'filled' WHEN 'created' THEN 'pending' WHEN 'done' THEN 'filled' WHEN 'error' THEN 'rejected' WHEN 'executed' THEN 'filled' WHEN 'expired' THEN 'cancelled' WHEN 'failed' THEN 'rejected' WHEN 'filled' THEN 'filled' WHEN 'in_doubt' THEN 'submitted' WHEN 'intent' THEN 'pending' WHEN 'live' THEN 'submitted' WHEN 'new' THEN 'pending' WHEN 'open' THEN 'submitted' WHEN 'partial' THEN 'partially_filled' WHEN 'partial_fill' THEN 'partially_filled' WHEN 'partially' THEN 'partially_filled' WHEN 'partially_filled' THEN 'partially_filled' WHEN 'pending' THEN 'pending' WHEN 'placed' THEN 'submitted' WHEN 'planned' THEN 'pending' WHEN 'queued' THEN 'pending' WHEN 'refused' THEN 'rejected' WHEN 'rejected' THEN 'rejected' WHEN 'sent' THEN 'submitted' WHEN 'submitted' THEN 'submitted' WHEN 'unknown' THEN 'submitted' WHEN 'withdrawn' THEN 'cancelled' WHEN 'working' THEN 'submitted' ELSE t.status::text END AS status,  -- harbor.execution_orders.status (100)
    t.created_at AS created_at,  -- harbor.execution_orders.created_at (100)
    t.updated_at AS updated_at  -- harbor.execution_orders.updated_at (100)
FROM harbor.execution_orders AS t;

-- executions: from harbor.trade_executions (95)
CREATE OR REPLACE VIEW wartest.executions AS SELECT
    t.id::text AS execution_id,  -- harbor.trade_executions.id (100)
    t.account_id AS account_id,  -- harbor.trade_executions.account_id (100)
    t.order_id::text AS order_id,  -- harbor.trade_executions.order_id (100)
    t.position_id::text AS position_id,  -- harbor.trade_executions.position_id (100)
    t.broker_tx_id AS broker_transaction_id,  -- harbor.trade_executions.broker_tx_id (92)
    replace(upper(t.pair::text), '/', '_') AS instrument,  -- harbor.trade_executions.pair (90); written as the broker writes it: EUR_USD
    abs(t.size) * CASE WHEN lower(t.side::text) IN ('buy', 'long', 'b') THEN 1 WHEN lower(t.side::text) IN ('sell', 'short', 's') THEN -1 END AS units,  -- harbor.trade_executions.size and its side (85)
    t.price AS price,  -- harbor.trade_executions.price (100)
    t.conversion_rate AS conversion_rate,  -- harbor.trade_executions.conversion_rate (100)
    t.realized_pnl AS realized_pnl,  -- harbor.trade_executions.realized_pnl (100)
    t.commission AS commission,  -- harbor.trade_executions.commission (100)
    t.executed_at AS executed_at  -- harbor.trade_executions.executed_at (100)
FROM harbor.trade_executions AS t;

-- positions: from harbor.positions (97)
CREATE OR REPLACE VIEW wartest.positions AS SELECT
    t.id::text AS position_id,  -- harbor.positions.id (100)
    t.account_id AS account_id,  -- harbor.positions.account_id (100)
    t.broker_trade_id AS broker_trade_id,  -- harbor.positions.broker_trade_id (100)
    replace(upper(t.pair::text), '/', '_') AS instrument,  -- harbor.positions.pair (90); written as the broker writes it: EUR_USD
    abs(t.size) * CASE WHEN lower(t.side::text) IN ('buy', 'long', 'b') THEN 1 WHEN lower(t.side::text) IN ('sell', 'short', 's') THEN -1 END AS units,  -- harbor.positions.size and its side (85)
    abs(t.open_size) * CASE WHEN lower(t.side::text) IN ('buy', 'long', 'b') THEN 1 WHEN lower(t.side::text) IN ('sell', 'short', 's') THEN -1 END AS units_open,  -- harbor.positions.open_size and its side (85)
    t.avg_entry_price AS entry_price,  -- harbor.positions.avg_entry_price (92)
    t.stop_loss AS stop_loss,  -- harbor.positions.stop_loss (100)
    NULL::numeric AS take_profit,  -- nothing found; may stay null
    t.margin_used AS margin_used,  -- harbor.positions.margin_used (100)
    CASE lower(t.status::text) WHEN 'active' THEN 'open' WHEN 'archived' THEN 'closed' WHEN 'close' THEN 'closed' WHEN 'closed' THEN 'closed' WHEN 'flat' THEN 'closed' WHEN 'liquidated' THEN 'closed' WHEN 'open' THEN 'open' WHEN 'opened' THEN 'open' ELSE t.status::text END AS status,  -- harbor.positions.status (100)
    t.realized_pnl AS realized_pnl,  -- harbor.positions.realized_pnl (100)
    t.close_reason AS close_reason,  -- harbor.positions.close_reason (100)
    t.opened_at AS opened_at,  -- harbor.positions.opened_at (100)
    t.closed_at AS closed_at  -- harbor.positions.closed_at (100)
FROM harbor.positions AS t;

-- position_events: from harbor.position_events (98)
CREATE OR REPLACE VIEW wartest.position_events AS SELECT
    t.id::text AS event_id,  -- harbor.position_events.id (100)
    t.position_id::text AS position_id,  -- harbor.position_events.position_id (100)
    t.seq AS sequence,  -- harbor.position_events.seq (92)
    CASE lower(t.event_type::text) WHEN 'close' THEN 'POSITION_CLOSED' WHEN 'closed' THEN 'POSITION_CLOSED' WHEN 'created' THEN 'POSITION_CREATED' WHEN 'execution' THEN 'ORDER_FILLED' WHEN 'fill' THEN 'ORDER_FILLED' WHEN 'filled' THEN 'ORDER_FILLED' WHEN 'full_exit' THEN 'POSITION_CLOSED' WHEN 'margin_changed' THEN 'MARGIN_UPDATED' WHEN 'margin_locked' THEN 'MARGIN_RESERVED' WHEN 'margin_released' THEN 'MARGIN_RELEASED' WHEN 'margin_reserved' THEN 'MARGIN_RESERVED' WHEN 'margin_unlocked' THEN 'MARGIN_RELEASED' WHEN 'margin_updated' THEN 'MARGIN_UPDATED' WHEN 'open' THEN 'POSITION_CREATED' WHEN 'opened' THEN 'POSITION_CREATED' WHEN 'order_filled' THEN 'ORDER_FILLED' WHEN 'partial_close' THEN 'PARTIAL_CLOSE' WHEN 'partial_exit' THEN 'PARTIAL_CLOSE' WHEN 'partially_closed' THEN 'PARTIAL_CLOSE' WHEN 'pnl' THEN 'PNL_REALIZED' WHEN 'pnl_realized' THEN 'PNL_REALIZED' WHEN 'position_closed' THEN 'POSITION_CLOSED' WHEN 'position_created' THEN 'POSITION_CREATED' WHEN 'position_filled' THEN 'ORDER_FILLED' WHEN 'position_opened' THEN 'POSITION_CREATED' WHEN 'realised' THEN 'PNL_REALIZED' WHEN 'realized' THEN 'PNL_REALIZED' WHEN 'reduced' THEN 'PARTIAL_CLOSE' WHEN 'released' THEN 'MARGIN_RELEASED' WHEN 'reserved' THEN 'MARGIN_RESERVED' ELSE t.event_type::text END AS event_type,  -- harbor.position_events.event_type (100)
    t.payload AS payload,  -- harbor.position_events.payload (100)
    NULL::text AS idempotency_key,  -- nothing found; may stay null
    t.event_time AS occurred_at,  -- harbor.position_events.event_time (92)
    t.stored_at AS recorded_at  -- harbor.position_events.stored_at (92)
FROM harbor.position_events AS t;

-- balance_events: from harbor.account_balance_events (94)
CREATE OR REPLACE VIEW wartest.balance_events AS SELECT
    t.id::text AS event_id,  -- harbor.account_balance_events.id (100)
    t.account_id AS account_id,  -- harbor.account_balance_events.account_id (100)
    t.seq AS sequence,  -- harbor.account_balance_events.seq (92)
    CASE lower(t.event_type::text) WHEN 'adjust' THEN 'ADJUSTMENT' WHEN 'adjustment' THEN 'ADJUSTMENT' WHEN 'charge' THEN 'FEE' WHEN 'commission' THEN 'COMMISSION' WHEN 'commissions' THEN 'COMMISSION' WHEN 'correction' THEN 'ADJUSTMENT' WHEN 'deposit' THEN 'DEPOSIT' WHEN 'dividend' THEN 'DIVIDEND' WHEN 'dividends' THEN 'DIVIDEND' WHEN 'fee' THEN 'FEE' WHEN 'fees' THEN 'FEE' WHEN 'financing' THEN 'FINANCING' WHEN 'fund' THEN 'DEPOSIT' WHEN 'funding' THEN 'DEPOSIT' WHEN 'interest' THEN 'FINANCING' WHEN 'loss' THEN 'PNL_REALIZED' WHEN 'opening' THEN 'DEPOSIT' WHEN 'overnight' THEN 'FINANCING' WHEN 'payout' THEN 'WITHDRAWAL' WHEN 'pnl' THEN 'PNL_REALIZED' WHEN 'pnl_realized' THEN 'PNL_REALIZED' WHEN 'position_closed' THEN 'PNL_REALIZED' WHEN 'profit' THEN 'PNL_REALIZED' WHEN 'realized_pnl' THEN 'PNL_REALIZED' WHEN 'rollover' THEN 'FINANCING' WHEN 'settlement' THEN 'PNL_REALIZED' WHEN 'swap' THEN 'FINANCING' WHEN 'trade' THEN 'PNL_REALIZED' WHEN 'trade_closed' THEN 'PNL_REALIZED' WHEN 'trade_fee' THEN 'COMMISSION' WHEN 'trade_pnl' THEN 'PNL_REALIZED' WHEN 'transfer_in' THEN 'DEPOSIT' WHEN 'transfer_out' THEN 'WITHDRAWAL' WHEN 'withdraw' THEN 'WITHDRAWAL' WHEN 'withdrawal' THEN 'WITHDRAWAL' ELSE t.event_type::text END AS event_type,  -- harbor.account_balance_events.event_type (100)
    t.balance_before AS balance_before,  -- harbor.account_balance_events.balance_before (100)
    t.amount AS amount,  -- harbor.account_balance_events.amount (100)
    t.balance_after AS balance_after,  -- harbor.account_balance_events.balance_after (100)
    t.position_id::text AS position_id,  -- harbor.account_balance_events.position_id (100)
    t.execution_id::text AS execution_id,  -- harbor.account_balance_events.execution_id (100)
    t.broker_tx_id AS broker_transaction_id,  -- harbor.account_balance_events.broker_tx_id (92)
    t.event_time AS occurred_at,  -- harbor.account_balance_events.event_time (92)
    t.stored_at AS recorded_at  -- harbor.account_balance_events.stored_at (92)
FROM harbor.account_balance_events AS t;

-- reconciliations: from harbor.reconciliation_log (95)
CREATE OR REPLACE VIEW wartest.reconciliations AS SELECT
    t.reconciliation_id::text AS reconciliation_id,  -- harbor.reconciliation_log.reconciliation_id (100)
    t.account_id AS account_id,  -- harbor.reconciliation_log.account_id (100)
    t.started_at AS started_at,  -- harbor.reconciliation_log.started_at (100)
    t.duration_ms AS duration_ms,  -- harbor.reconciliation_log.duration_ms (100)
    t.positions_checked AS positions_checked,  -- harbor.reconciliation_log.positions_checked (100)
    t.discrepancies_found AS mismatches  -- harbor.reconciliation_log.discrepancies_found (92)
FROM harbor.reconciliation_log AS t;


-- Let a role of its own read them, and nothing else:
-- CREATE ROLE wartest_reader LOGIN PASSWORD '…';
-- GRANT USAGE ON SCHEMA wartest TO wartest_reader;
-- GRANT SELECT ON ALL TABLES IN SCHEMA wartest TO wartest_reader;
COMMIT;
