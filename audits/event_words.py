"""The ledger's words: which events there are, and which each position must have. Pure."""

ALWAYS = ("POSITION_CREATED",)
OPENED = ("ORDER_FILLED", "MARGIN_RESERVED")
CLOSED = ("MARGIN_RELEASED", "PNL_REALIZED", "POSITION_CLOSED")
POSITION_EVENTS = (*ALWAYS, *OPENED, "MARGIN_UPDATED", "PARTIAL_CLOSE", *CLOSED)
BALANCE_EVENTS = (
    "DEPOSIT",
    "WITHDRAWAL",
    "PNL_REALIZED",
    "FINANCING",
    "COMMISSION",
    "FEE",
    "DIVIDEND",
    "ADJUSTMENT",
)

# Each position event that counts, and its column in the table `stories`.
COUNTED = {
    "POSITION_CREATED": "created",
    "ORDER_FILLED": "filled",
    "MARGIN_RESERVED": "reserved",
    "MARGIN_RELEASED": "released",
    "PNL_REALIZED": "realized",
    "POSITION_CLOSED": "closed",
}
