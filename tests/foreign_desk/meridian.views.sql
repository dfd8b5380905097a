-- The seven relations of the ledger contract, as views over the books of Meridian.
-- Begun by: manage.py map_ledger --url env:LEDGER_URL --schema meridian; what it marked with << was written by hand.
BEGIN;
CREATE SCHEMA IF NOT EXISTS wartest;

CREATE OR REPLACE VIEW wartest.accounts AS SELECT
    acct AS account_id, ccy AS currency, start_cash AS opening_balance, cash AS balance,
    cash + floating AS equity, held AS margin_used, greatest(cash + floating - held, 0) AS margin_available,
    touched AS updated_at
FROM meridian.account;

CREATE OR REPLACE VIEW wartest.orders AS SELECT
    id::text AS order_id, acct AS account_id, lot::text AS position_id, client_ref AS client_order_id,
    broker_no AS broker_order_id, pair AS instrument, qty * CASE side WHEN 'BUY' THEN 1 ELSE -1 END AS units,
    CASE kind WHEN 'stop' THEN 'STOP_LOSS' WHEN 'target' THEN 'TAKE_PROFIT' ELSE 'MARKET' END AS order_type,
    CASE state WHEN 'noted' THEN 'pending' WHEN 'sent' THEN 'submitted' WHEN 'done' THEN 'filled' ELSE 'cancelled' END
        AS status,
    created_at, updated_at
FROM meridian.orders;

CREATE OR REPLACE VIEW wartest.executions AS SELECT
    f.id::text AS execution_id, l.acct AS account_id, f.ticket::text AS order_id, f.lot::text AS position_id,
    f.tx_no AS broker_transaction_id, l.pair AS instrument,
    f.qty * CASE f.side WHEN 'BUY' THEN 1 ELSE -1 END AS units, f.price, f.to_home AS conversion_rate,
    f.gain AS realized_pnl, f.fee AS commission, f.dealt AS executed_at
FROM meridian.fills AS f JOIN meridian.lots AS l ON l.id = f.lot;

CREATE OR REPLACE VIEW wartest.positions AS SELECT
    id::text AS position_id, acct AS account_id, trade_no AS broker_trade_id, pair AS instrument,
    qty * CASE side WHEN 'BUY' THEN 1 ELSE -1 END AS units,
    left_qty * CASE side WHEN 'BUY' THEN 1 ELSE -1 END AS units_open, entry AS entry_price, stop AS stop_loss,
    target AS take_profit, held AS margin_used, CASE WHEN ended IS NULL THEN 'open' ELSE 'closed' END AS status,
    gain AS realized_pnl,
    CASE ended_by WHEN 'stop' THEN 'STOP_LOSS' WHEN 'target' THEN 'TAKE_PROFIT' ELSE upper(ended_by) END AS close_reason,
    born AS opened_at, ended AS closed_at
FROM meridian.lots;

CREATE OR REPLACE VIEW wartest.position_events AS SELECT
    e.id::text AS event_id, e.lot::text AS position_id, e.no::bigint AS sequence,
    CASE e.what WHEN 'born' THEN 'POSITION_CREATED' WHEN 'dealt' THEN 'ORDER_FILLED' WHEN 'held' THEN 'MARGIN_RESERVED'
        WHEN 'revalued' THEN 'MARGIN_UPDATED' WHEN 'trimmed' THEN 'MARGIN_UPDATED' WHEN 'freed' THEN 'MARGIN_RELEASED'
        WHEN 'gained' THEN 'PNL_REALIZED' WHEN 'ended' THEN 'POSITION_CLOSED' ELSE e.what END AS event_type,
    jsonb_strip_nulls(jsonb_build_object(
        'units', (e.facts ->> 'qty')::numeric * CASE e.facts ->> 'side' WHEN 'BUY' THEN 1 ELSE -1 END,
        'instrument', e.facts -> 'pair', 'entry_price', CASE WHEN e.what = 'born' THEN e.facts -> 'price' END,
        'margin_used', e.facts -> 'held', 'realized_pnl', e.facts -> 'gain')) AS payload,
    NULL::text AS idempotency_key, e.happened AS occurred_at, e.written AS recorded_at
FROM meridian.lot_events AS e;

CREATE OR REPLACE VIEW wartest.balance_events AS SELECT
    id::text AS event_id, acct AS account_id, no::bigint AS sequence,
    CASE what WHEN 'gain' THEN 'PNL_REALIZED' WHEN 'fee' THEN 'COMMISSION' WHEN 'rollover' THEN 'FINANCING'
        WHEN 'funding' THEN 'DEPOSIT' WHEN 'payout' THEN 'WITHDRAWAL' ELSE what END AS event_type,
    was AS balance_before, delta AS amount, became AS balance_after, lot::text AS position_id,
    deal::text AS execution_id, tx_no AS broker_transaction_id, happened AS occurred_at, written AS recorded_at
FROM meridian.cash_ledger;

CREATE OR REPLACE VIEW wartest.reconciliations AS SELECT
    id::text AS reconciliation_id, acct AS account_id, began AS started_at, took_ms::numeric AS duration_ms,
    lots::bigint AS positions_checked, off::bigint AS mismatches
FROM meridian.reconciliation_runs;
COMMIT;
