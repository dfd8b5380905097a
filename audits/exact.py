"""Exact products of ledger numbers. Pure."""

from decimal import ROUND_HALF_EVEN, Context, Decimal, DecimalException, Inexact

STEP = Decimal("1e-18")
_WIDE = Context(prec=200, Emax=999, Emin=-999, traps=[Inexact])
_ROUND = Context(prec=200, rounding=ROUND_HALF_EVEN)
_MOST = Decimal(10) ** 19  # so that a difference of two still fits into DECIMAL(38, 18)


def product(difference: Decimal | None, units: Decimal | None, rate: Decimal | None) -> Decimal | None:
    """Return difference × units × rate, rounded once, to 18 decimals; None beyond 10^19 or where one is missing."""
    if difference is None or units is None or rate is None:
        return None
    try:
        exact = _WIDE.multiply(_WIDE.multiply(difference, units), rate)
        return None if abs(exact) >= _MOST else exact.quantize(STEP, context=_ROUND)
    except DecimalException:
        return None
