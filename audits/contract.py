"""The ledger contract: seven relations, as data. A ledger with these relations (tables or views) can be audited."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a column holds. `exact` is a decimal number, never a binary fraction; `moment` an instant with its zone."""

    TEXT = "text"
    EXACT = "exact"
    COUNT = "count"
    MOMENT = "moment"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, what it holds, and whether it may be null."""

    name: str
    kind: Kind
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation: its columns in order; the first is its key."""

    name: str
    columns: tuple[Column, ...]

    @property
    def key(self) -> str:
        """The column that names a row."""
        return self.columns[0].name


def _relation(name: str, columns: str) -> Relation:
    """Build a relation from `name:kind` words; a `?` after the kind means that the column may be null."""
    parsed = []
    for word in columns.split():
        column, kind = word.split(":")
        parsed.append(Column(column, Kind(kind.rstrip("?")), nullable=kind.endswith("?")))
    return Relation(name, tuple(parsed))


ACCOUNTS = _relation(
    "accounts",
    """account_id:text currency:text opening_balance:exact balance:exact equity:exact? margin_used:exact?
    margin_available:exact? updated_at:moment""",
)
ORDERS = _relation(
    "orders",
    """order_id:text account_id:text position_id:text? client_order_id:text? broker_order_id:text? instrument:text
    units:exact order_type:text status:text created_at:moment updated_at:moment""",
)
EXECUTIONS = _relation(
    "executions",
    """execution_id:text account_id:text order_id:text position_id:text broker_transaction_id:text? instrument:text
    units:exact price:exact conversion_rate:exact realized_pnl:exact commission:exact executed_at:moment""",
)
POSITIONS = _relation(
    "positions",
    """position_id:text account_id:text broker_trade_id:text? instrument:text units:exact units_open:exact
    entry_price:exact stop_loss:exact? take_profit:exact? margin_used:exact? status:text realized_pnl:exact
    close_reason:text? opened_at:moment closed_at:moment?""",
)
POSITION_EVENTS = _relation(
    "position_events",
    """event_id:text position_id:text sequence:count event_type:text payload:json idempotency_key:text?
    occurred_at:moment recorded_at:moment""",
)
BALANCE_EVENTS = _relation(
    "balance_events",
    """event_id:text account_id:text sequence:count event_type:text balance_before:exact amount:exact
    balance_after:exact position_id:text? execution_id:text? broker_transaction_id:text? occurred_at:moment
    recorded_at:moment""",
)
RECONCILIATIONS = _relation(
    "reconciliations",
    """reconciliation_id:text account_id:text started_at:moment duration_ms:exact positions_checked:count
    mismatches:count""",
)

RELATIONS: tuple[Relation, ...] = (
    ACCOUNTS,
    ORDERS,
    EXECUTIONS,
    POSITIONS,
    POSITION_EVENTS,
    BALANCE_EVENTS,
    RECONCILIATIONS,
)

BROKER_TRANSACTIONS = _relation(
    "broker_transactions",
    """id:text account_id:text time:moment type:text batch_id:text? account_balance:exact? pl:exact? financing:exact?
    commission:exact? guaranteed_execution_fee:exact? dividend_adjustment:exact? amount:exact? order_id:text?
    reason:text? raw:json""",
)
BROKER_TRADES = _relation(
    "broker_trades",
    """trade_id:text account_id:text instrument:text units:exact initial_units:exact? price:exact unrealized_pl:exact?
    opened_at:moment? raw:json""",
)
BROKER_ACCOUNT = _relation(
    "broker_account",
    # A derived account's currency and trades may not be known; a broker that is asked always tells them.
    """account_id:text currency:text? balance:exact nav:exact? unrealized_pl:exact? margin_used:exact?
    open_trade_count:count? last_transaction_id:text raw:json""",
)

BROKER_RELATIONS: tuple[Relation, ...] = (BROKER_TRANSACTIONS, BROKER_TRADES, BROKER_ACCOUNT)

# Only of a broker who tells prices, and only for the time in which a stop was live.
BROKER_CANDLES = _relation(
    "broker_candles",
    """candle_id:text account_id:text instrument:text opened_at:moment bid_low:exact bid_high:exact ask_low:exact
    ask_high:exact""",
)
# What was asked of them: from when to when, and why it was left out where it was.
PRICE_SPANS = _relation(
    "price_spans", "span_id:text account_id:text instrument:text? since:moment until:moment left_out:text?"
)

PRICE_RELATIONS: tuple[Relation, ...] = (BROKER_CANDLES, PRICE_SPANS)

BY_NAME: dict[str, Relation] = {
    relation.name: relation for relation in (*RELATIONS, *BROKER_RELATIONS, *PRICE_RELATIONS)
}
