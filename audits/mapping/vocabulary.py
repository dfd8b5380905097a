"""The words that people write into statuses, sides and event types, and the contract's word for each. Pure."""

_ORDER_STATUS = {
    "pending": "new created intent queued planned draft received",
    "submitted": (
        "sent open accepted working active placed live unknown in_doubt acknowledged pending_new routed "
        "presubmitted in_flight"
    ),
    "partially_filled": "partial partial_fill partially",
    "filled": "closed executed complete completed done fully_filled",
    "cancelled": "canceled expired withdrawn voided killed",
    "rejected": "refused failed error declined invalid",
}
_POSITION_STATUS = {"open": "opened active live running", "closed": "close liquidated archived flat exited stopped_out"}
_POSITION_EVENT = {
    "POSITION_CREATED": "created position_opened opened open",
    "ORDER_FILLED": "filled fill position_filled execution",
    "MARGIN_RESERVED": "margin_locked reserved",
    "MARGIN_UPDATED": "margin_changed",
    "PARTIAL_CLOSE": "partially_closed partial_exit reduced trimmed scaled_out",
    "MARGIN_RELEASED": "margin_unlocked released",
    "PNL_REALIZED": "realized pnl realised",
    "POSITION_CLOSED": "closed close full_exit",
}
_BALANCE_EVENT = {
    "DEPOSIT": "funding fund transfer_in opening top_up",
    "WITHDRAWAL": "withdraw payout transfer_out",
    "PNL_REALIZED": "pnl realized_pnl profit loss trade trade_pnl settlement position_closed trade_closed",
    "FINANCING": "swap rollover interest overnight swaps carry daily_financing funding_fee",
    "COMMISSION": "commissions trade_fee",
    "FEE": "fees charge",
    "DIVIDEND": "dividends",
    "ADJUSTMENT": "correction adjust",
}
BUY = "buy long b bot"
SELL = "sell short s sld"
ENTRY = "entry open opening in enter"
EXIT = "exit close closing out partial_exit full_exit stop_loss take_profit liquidation"

WORDS: dict[tuple[str, str], dict[str, str]] = {
    ("orders", "status"): _ORDER_STATUS,
    ("positions", "status"): _POSITION_STATUS,
    ("position_events", "event_type"): _POSITION_EVENT,
    ("balance_events", "event_type"): _BALANCE_EVENT,
}


def translated(relation: str, column: str) -> dict[str, str] | None:
    """Each known word in lower case and the contract's own; None where the contract takes any word."""
    words = WORDS.get((relation, column))
    if words is None:
        return None
    known = {own.lower(): own for own in words}
    for own, others in words.items():
        for other in others.split():
            known.setdefault(other, own)
    return known
