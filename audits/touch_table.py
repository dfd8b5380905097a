"""Which stops the market touched, told from the broker's sealed candles, as the table `touches`.

The rule is that of audits.touches, which judges gate 1's windows stop by stop; here all stops are looked at together.
"""

import duckdb

CANDLE_S = 5
TRAILING = "its price moves with the market"
_CANDLE = f"INTERVAL {CANDLE_S} SECOND"
_JUST = "INTERVAL 10 SECOND"  # a touch of the last moments is not judged: its time limit is not over

_TABLE = """
    CREATE TABLE touches (account_id VARCHAR, trade_id VARCHAR, order_id VARCHAR, kind VARCHAR, price DECIMAL(38, 18),
        executed_at TIMESTAMPTZ, proved_at TIMESTAMPTZ, touched_at TIMESTAMPTZ, touching_price DECIMAL(38, 18),
        candle_id VARCHAR, seen_until TIMESTAMPTZ, why VARCHAR)
"""

# The price of a candle that comes furthest towards a stop, and whether it triggers it.
_MACROS = """
    CREATE TEMP MACRO reaching(from_above, uses_bid, bid_low, bid_high, ask_low, ask_high) AS
        CASE WHEN from_above THEN CASE WHEN uses_bid THEN bid_low ELSE ask_low END
             ELSE CASE WHEN uses_bid THEN bid_high ELSE ask_high END END;
    CREATE TEMP MACRO reaches(price, from_above, reaching_price) AS
        CASE WHEN from_above THEN reaching_price <= price ELSE reaching_price >= price END;
"""

# A stop's instrument is that of the fill that opened its trade. Whose life is shorter than a candle cannot be proven.
_LIVES = f"""
    WITH opened AS (
        SELECT p.account_id, p.trade_id, any_value(TRY(t.raw ->> 'instrument')) AS instrument
        FROM parts p JOIN broker_transactions t ON t.account_id = p.broker_account_id AND t.id = p.fill_id
        WHERE p.kind = 'opened' GROUP BY ALL
    ), executed AS (
        SELECT account_id, order_id, executed AS kind, min(time) AS executed_at FROM parts
        WHERE executed <> 'neither' GROUP BY ALL
    ), lives AS (
        SELECT s.*, broker_account_id, instrument, executed_at, (trade_units > 0) = (s.kind = 'stop loss') AS from_above
        FROM stops s JOIN tied_pairs USING (account_id) LEFT JOIN opened USING (account_id, trade_id)
        LEFT JOIN executed USING (account_id, order_id, kind)
        WHERE coalesce(s.ended_at, (SELECT max(until) FROM price_spans)) - s.created_at >= {_CANDLE}
    )
    SELECT l.*, coalesce(ended_at, seen_until) AS lived_until, seen_until
    FROM lives l LEFT JOIN (
        SELECT l.account_id, l.order_id, max(p.until) AS seen_until FROM lives l JOIN price_spans p
          ON p.account_id = broker_account_id AND p.instrument = l.instrument AND p.left_out IS NULL
         AND p.since <= l.created_at AND coalesce(l.ended_at <= p.until + {_JUST}, true)
        GROUP BY ALL
    ) USING (account_id, order_id)
"""

# By hours first: an hour whose extremes do not reach a stop need not be looked through candle by candle.
_PROOFS = f"""
    WITH hours AS (
        SELECT account_id, instrument, date_trunc('hour', opened_at) AS hour, min(bid_low) AS bid_low,
               max(bid_high) AS bid_high, min(ask_low) AS ask_low, max(ask_high) AS ask_high
        FROM broker_candles GROUP BY ALL
    ), lived AS (
        SELECT *, unnest(generate_series(date_trunc('hour', created_at), lived_until, INTERVAL 1 HOUR)) AS hour
        FROM lives WHERE seen_until IS NOT NULL AND uses_bid IS NOT NULL AND NOT is_trailing
    ), near AS (
        SELECT l.* FROM lived l JOIN hours h
          ON h.account_id = broker_account_id AND h.instrument = l.instrument AND h.hour = l.hour
        WHERE reaches(price, from_above, reaching(from_above, uses_bid, bid_low, bid_high, ask_low, ask_high))
    ), seen AS (
        SELECT n.account_id, n.order_id, n.price, n.from_above, c.opened_at, c.candle_id,
               reaching(from_above, uses_bid, bid_low, bid_high, ask_low, ask_high) AS reaching_price
        FROM near n JOIN broker_candles c
          ON c.account_id = broker_account_id AND c.instrument = n.instrument
         AND date_trunc('hour', c.opened_at) = n.hour
         AND c.opened_at >= n.created_at AND c.opened_at + {_CANDLE} <= n.lived_until
    )
    SELECT account_id, order_id, min(opened_at) AS proved_at, arg_min(reaching_price, opened_at) AS touching_price,
           arg_min(candle_id, opened_at) AS candle_id
    FROM seen WHERE reaches(price, from_above, reaching_price) GROUP BY ALL
"""

# A stop that was executed was touched at the latest in the candle of its fill; candles are aligned to the epoch.
_INSERT = f"""
    INSERT INTO touches
    WITH priced AS (
        SELECT l.*, c.opened_at AS next_price_at
        FROM lives l ASOF LEFT JOIN broker_candles c
          ON c.account_id = broker_account_id AND c.instrument = l.instrument
         AND c.opened_at > l.created_at - {_CANDLE}
    )
    SELECT account_id, trade_id, order_id, kind, price, executed_at, proved_at,
           least(proved_at, time_bucket({_CANDLE}, executed_at, TIMESTAMPTZ '1970-01-01 00:00:00+00')), touching_price,
           candle_id, seen_until,
           CASE WHEN is_trailing THEN '{TRAILING}'
                WHEN instrument IS NULL OR trade_units IS NULL THEN 'nothing shows which trade it protects'
                WHEN uses_bid IS NULL THEN 'its trigger is not a bid or ask price'
                WHEN seen_until IS NULL THEN 'prices of its time were not read'
                WHEN next_price_at IS NULL OR next_price_at >= lived_until THEN 'the broker has no price of its time'
           END
    FROM priced LEFT JOIN proofs USING (account_id, order_id)
"""


def make_touches(database: duckdb.DuckDBPyConnection) -> None:
    """Create `touches`: each stop order that lived for a candle at least, `why` where prices tell nothing of it.

    `proved_at` is the start of the first candle within its life that reached it, `touched_at` that or, if earlier, the
    start of the candle in which it was executed. Empty where no prices were read.
    """
    database.execute(_TABLE)
    fill_touches(database)


def fill_touches(database: duckdb.DuckDBPyConnection) -> None:
    """Put into an empty `touches` what belongs there."""
    asked = database.execute("SELECT count(*) FROM price_spans").fetchone()
    if asked == (0,):
        return
    database.execute(_MACROS)
    for name, query in (("lives", _LIVES), ("proofs", _PROOFS)):
        database.execute(f"CREATE TEMP TABLE {name} AS {query}")
    database.execute(_INSERT)
    database.execute("DROP TABLE proofs; DROP TABLE lives")
