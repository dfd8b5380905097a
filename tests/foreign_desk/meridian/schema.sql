CREATE SCHEMA meridian;

CREATE TABLE meridian.account (
  acct        text PRIMARY KEY,
  ccy         text NOT NULL,
  start_cash  numeric(20,4) NOT NULL,
  cash        numeric NOT NULL,
  held        numeric NOT NULL DEFAULT 0,          -- margin
  floating    numeric NOT NULL DEFAULT 0,          -- as last marked
  cursor      bigint NOT NULL,                     -- last broker transaction that is in these books
  touched     timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE meridian.orders (
  id        uuid PRIMARY KEY,
  acct      text NOT NULL REFERENCES meridian.account,
  client_ref text UNIQUE,                           -- our name for it at the broker; none for a stop that fired
  kind      text NOT NULL CHECK (kind IN ('enter', 'exit', 'trim', 'stop', 'target')),
  pair      text NOT NULL,
  side       text NOT NULL CHECK (side IN ('BUY', 'SELL')),
  qty       numeric NOT NULL CHECK (qty > 0),
  state     text NOT NULL CHECK (state IN ('noted', 'sent', 'done', 'void')),
  stop      numeric,
  target    numeric,
  remark    text,
  broker_no text UNIQUE,
  lot       uuid,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE meridian.lots (
  id        uuid PRIMARY KEY,
  acct      text NOT NULL REFERENCES meridian.account,
  pair      text NOT NULL,
  side       text NOT NULL CHECK (side IN ('BUY', 'SELL')),
  qty       numeric NOT NULL,
  left_qty  numeric NOT NULL CHECK (left_qty >= 0),
  entry     numeric NOT NULL,
  stop      numeric,
  target    numeric,
  held      numeric NOT NULL,
  gain      numeric NOT NULL DEFAULT 0,
  trade_no  text UNIQUE NOT NULL,
  ended_by  text,
  born      timestamptz NOT NULL,
  ended     timestamptz
);

CREATE TABLE meridian.fills (
  id       uuid PRIMARY KEY,
  ticket   uuid NOT NULL REFERENCES meridian.orders,
  lot      uuid NOT NULL REFERENCES meridian.lots,
  tx_no    text NOT NULL,
  side      text NOT NULL,
  qty      numeric NOT NULL,
  price    numeric NOT NULL,
  to_home  numeric NOT NULL,
  gain     numeric NOT NULL,
  fee      numeric NOT NULL,
  dealt    timestamptz NOT NULL,
  UNIQUE (tx_no, lot)
);

CREATE TABLE meridian.lot_events (
  id       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  lot      uuid NOT NULL REFERENCES meridian.lots,
  no       integer NOT NULL,
  what     text NOT NULL,
  facts    jsonb NOT NULL,
  happened timestamptz NOT NULL,
  written  timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (lot, no)
);

CREATE TABLE meridian.cash_ledger (
  id       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  acct     text NOT NULL REFERENCES meridian.account,
  no       integer NOT NULL,
  what     text NOT NULL,
  was      numeric NOT NULL,
  delta    numeric NOT NULL,
  became   numeric NOT NULL,
  lot      uuid,
  deal     uuid,
  tx_no    text,
  happened timestamptz NOT NULL,
  written  timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (acct, no)
);

CREATE TABLE meridian.reconciliation_runs (
  id      uuid PRIMARY KEY,
  acct    text NOT NULL REFERENCES meridian.account,
  began   timestamptz NOT NULL,
  took_ms integer NOT NULL,
  lots    integer NOT NULL,
  off     integer NOT NULL
);
