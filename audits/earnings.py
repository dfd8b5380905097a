"""The closing executions whose booked profit is not what their prices give, as the table `earnings`.

DuckDB has no exact product of three numbers of 38 digits, and makes them narrower at great cost. Arrow multiplies them
in decimals of 76 digits; what does not fit even there is multiplied in Python.
"""

from collections.abc import Sequence
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from audits import exact

HALF_STEP = Decimal("0.00005")  # half a step of the fourth decimal, to which the broker rounds
BATCH_ROWS = 20_000

_FACTORS = ("difference", "units", "conversion_rate")
# Digits of each, so that a product less the booked profit still fits into 76.
_DIGITS = (pa.decimal256(22, 12), pa.decimal256(22, 8), pa.decimal256(28, 18))
_NEAR = pa.scalar(HALF_STEP - Decimal("1e-18"), pa.decimal256(20, 18))

_CLOSINGS = """
    SELECT e.execution_id, e.position_id, e.broker_transaction_id, e.realized_pnl,
           e.price - p.entry_price AS difference, -e.units AS units, e.conversion_rate
    FROM executions e JOIN positions p USING (position_id) WHERE NOT same_side(e.units, p.units)
"""
_TABLE = """
    CREATE TABLE earnings (execution_id VARCHAR, position_id VARCHAR, broker_transaction_id VARCHAR,
                           realized_pnl DECIMAL(38, 18), earned DECIMAL(38, 18))
"""


def make_earnings(database: duckdb.DuckDBPyConnection) -> None:
    """Create `earnings`: each closing execution that earned half a step more or less than it booked, or nobody knows.

    `earned` is price difference × units × rate, of the position's sign, rounded once to 18 decimals; null where it is
    beyond any account.
    """
    database.execute(_TABLE)
    fill_earnings(database)


def fill_earnings(database: duckdb.DuckDBPyConnection) -> None:
    """Put into an empty `earnings` what belongs there."""
    with database.cursor() as reading:
        for batch in reading.execute(_CLOSINGS).to_arrow_reader(BATCH_ROWS):
            wrong = batch.filter(_is_wrong(batch))
            if wrong.num_rows:
                database.register("wrong", _with_earned(wrong))
                database.execute("INSERT INTO earnings FROM wrong")
                database.unregister("wrong")


def _is_wrong(batch: pa.RecordBatch) -> pa.Array:
    """Tell which rows booked about half a step, or more, beside the product; all where Arrow cannot multiply one."""
    try:
        factors = [pc.cast(batch[name], to) for name, to in zip(_FACTORS, _DIGITS, strict=True)]
        product = pc.multiply(pc.multiply(factors[0], factors[1]), factors[2])
        return pc.fill_null(pc.greater(pc.abs(pc.subtract(product, batch["realized_pnl"])), _NEAR), fill_value=True)
    except pa.ArrowInvalid:
        return pa.array([True] * batch.num_rows)


def _with_earned(wrong: pa.RecordBatch) -> pa.Table:
    factors: Sequence[Sequence[Decimal | None]] = [wrong[name].to_pylist() for name in _FACTORS]
    earned = pa.array([exact.product(*each) for each in zip(*factors, strict=True)], pa.decimal128(38, 18))
    return pa.Table.from_batches([wrong]).drop_columns(_FACTORS).append_column("earned", earned)
