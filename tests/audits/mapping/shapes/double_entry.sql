-- Bookkeeping: a journal, its entries in debit and credit, and the accounts they are booked on.
CREATE SCHEMA books;
CREATE TABLE books.accounts (
    id integer PRIMARY KEY, code text NOT NULL, name text NOT NULL, currency text NOT NULL,
    initial_balance numeric NOT NULL DEFAULT 0, balance numeric NOT NULL, updated_at timestamptz NOT NULL);
CREATE TABLE books.journal (
    id integer PRIMARY KEY, posted_at timestamptz NOT NULL, kind text NOT NULL, description text,
    broker_tx_id text);
CREATE TABLE books.entries (
    id integer PRIMARY KEY, journal_id integer NOT NULL REFERENCES books.journal (id),
    account_id integer NOT NULL REFERENCES books.accounts (id), debit numeric, credit numeric,
    CHECK ((debit IS NULL) <> (credit IS NULL)));

INSERT INTO books.accounts VALUES
    (1, '1010', 'Broker cash', 'USD', 0, 10040, '2026-11-22 12:00Z'),
    (2, '3000', 'Capital', 'USD', 0, -10000, '2026-11-22 09:00Z'),
    (3, '4000', 'Trading result', 'USD', 0, -50, '2026-11-22 11:00Z'),
    (4, '5000', 'Commission', 'USD', 0, 10, '2026-11-22 12:00Z');
INSERT INTO books.journal VALUES
    (1, '2026-11-22 09:00Z', 'funding', 'first money', '1'),
    (2, '2026-11-22 11:00Z', 'trade', 'EUR_USD closed', '5'),
    (3, '2026-11-22 12:00Z', 'commission', 'of the close', '5');
INSERT INTO books.entries VALUES
    (1, 1, 1, 10000, null), (2, 1, 2, null, 10000),
    (3, 2, 1, 50, null), (4, 2, 3, null, 50),
    (5, 3, 1, null, 10), (6, 3, 4, 10, null);
ANALYZE;
