-- A bot: its trades, which are positions, and its orders, which hold their own fills. No account, no events.
CREATE TABLE trades (
    id integer PRIMARY KEY, pair text NOT NULL, is_open boolean NOT NULL, is_short boolean NOT NULL,
    open_rate numeric NOT NULL, close_rate numeric, amount numeric NOT NULL, open_date timestamp NOT NULL,
    close_date timestamp, "stopLoss" numeric, exit_reason text, close_profit_abs numeric NOT NULL DEFAULT 0);
CREATE TABLE orders (
    id integer PRIMARY KEY, ft_trade_id integer NOT NULL REFERENCES trades (id), ft_order_side text NOT NULL,
    ft_pair text NOT NULL, order_id text NOT NULL, "clientOrderId" text, order_type text NOT NULL, status text NOT NULL,
    average numeric, amount numeric NOT NULL, filled numeric, fee numeric NOT NULL DEFAULT 0, cost double precision,
    order_date timestamp NOT NULL, order_filled_date timestamp);

INSERT INTO trades VALUES
    (1, 'EUR/USD', false, false, 1.10, 1.15, 1000, '2026-11-22 10:00', '2026-11-22 11:00', 1.09, 'roi', 50),
    (2, 'EUR/USD', true, true, 1.16, null, 500, '2026-11-22 12:00', null, 1.18, null, 0);
INSERT INTO orders VALUES
    (1, 1, 'buy', 'EUR/USD', '7', 'c-1', 'market', 'closed', 1.10, 1000, 1000, 0, 1100, '2026-11-22 10:00',
     '2026-11-22 10:00'),
    (2, 1, 'sell', 'EUR/USD', '8', 'c-2', 'market', 'closed', 1.15, 1000, 1000, 0, 1150, '2026-11-22 11:00',
     '2026-11-22 11:00'),
    (3, 2, 'sell', 'EUR/USD', '9', 'c-3', 'market', 'closed', 1.16, 500, 500, 0, 580, '2026-11-22 12:00',
     '2026-11-22 12:00');
ANALYZE;
