"""What people call the relations and columns of the contract: one explicit table. Pure.

Names are written as `found.plain` writes them. The contract's own name comes first by itself; the others in the order
in which they are believed. Sources: the tables of public trading systems and bookkeeping programs.
"""

_ACCOUNT = "account account_number account_no acct_id acct portfolio_id wallet_id login account_ref"
_POSITION = "position trade_id ft_trade_id execution_trade_id deal_id"
_INSTRUMENT = "symbol pair ticker market currency_pair ft_pair product instrument_name instrument_code epic underlying"
# Of the last ones a number is not a unit: `lots` says how many.
_LOTS = "lots size_lots volume_lots quantity_lots mini_lots micro_lots"
_UNITS = f"size quantity qty amount volume contracts base_amount order_qty shares nominal {_LOTS}"
_BROKER_TX = (
    "broker_tx_id broker_tx oanda_transaction_id transaction_id exchange_trade_id venue_trade_id broker_fill_id"
)
_STAMP = "created_at created inserted_at timestamp ts time date"
_PNL = (
    "pnl realized_pl realised_pnl pl profit realized_profit net_pnl close_profit_abs closed_pnl profit_loss "
    "realized_gain"
)
_MARGIN = "margin margin_required reserved_margin initial_margin used_margin"

TABLES: dict[str, str] = {
    "accounts": "account account_balances account_balance trading_accounts broker_accounts wallets portfolios",
    "orders": "order execution_orders trade_orders order_intents broker_orders",
    "executions": "execution trade_executions fills fill order_fills trade_fills deals trades orders",
    "positions": "position open_positions trades deals",
    "position_events": "position_event position_history position_log trade_events lifecycle_events",
    "balance_events": (
        "balance_event account_balance_events balance_history cash_movements cash_ledger ledger_entries "
        "journal_entries journal_lines postings entries account_transactions cash_flows cashflows wallet_transactions "
        "balance_changes account_ledger"
    ),
    "reconciliations": (
        "reconciliation reconciliation_log reconciliation_runs recon_runs reconciles recon_log "
        "broker_reconciliations sync_runs"
    ),
}

COLUMNS: dict[str, dict[str, str]] = {
    "accounts": {
        "account_id": f"id code {_ACCOUNT}",
        "currency": "ccy currency_code home_currency base_currency",
        "opening_balance": "initial_balance starting_balance start_balance initial_capital starting_capital",
        "balance": "cash_balance current_balance cash wallet_balance total_balance",
        "equity": "nav net_asset_value account_equity portfolio_value account_value",
        "margin_used": _MARGIN,
        "margin_available": "free_margin available_margin margin_free",
        "updated_at": f"modified_at last_updated updated changed_at as_of {_STAMP}",
    },
    "orders": {
        "order_id": "id uuid ticket order_ticket",
        "account_id": _ACCOUNT,
        "position_id": _POSITION,
        "client_order_id": (
            "client_id cl_ord_id client_oid client_ref client_reference idempotency_key clordid "
            "new_client_order_id client_tag"
        ),
        "broker_order_id": (
            "exchange_order_id venue_order_id external_order_id external_id remote_id order_id "
            "oanda_order_id order_ref perm_id"
        ),
        "instrument": _INSTRUMENT,
        "units": f"order_size requested_units {_UNITS}",
        "order_type": "type kind ord_type",
        "status": "state order_status",
        "created_at": f"placed_at submitted_at order_date {_STAMP}",
        "updated_at": f"modified_at last_updated updated settled_at filled_at order_filled_date {_STAMP}",
    },
    "executions": {
        "execution_id": "fill_id exec_id id uuid deal_id deal_ticket",
        "account_id": _ACCOUNT,
        "order_id": "order parent_order_id ft_order_id execution_order_id",
        "position_id": _POSITION,
        "broker_transaction_id": f"{_BROKER_TX} external_id",
        "instrument": _INSTRUMENT,
        "units": (
            "filled_units filled_size filled_qty filled_amount filled executed_qty last_qty cum_qty "
            f"filled_lots {_UNITS}"
        ),
        "price": (
            "fill_price filled_price avg_fill_price average avg_price execution_price executed_price rate "
            "last_px avg_px exec_price"
        ),
        "conversion_rate": (
            "fx_rate quote_to_home home_conversion conversion_factor home_rate rate_to_home exchange_rate quote_rate"
        ),
        "realized_pnl": _PNL,
        "commission": "fee fees commissions fee_cost brokerage charges",
        "executed_at": f"filled_at execution_time traded_at fill_time order_filled_date {_STAMP}",
    },
    "positions": {
        "position_id": "id uuid trade_id",
        "account_id": _ACCOUNT,
        "broker_trade_id": "oanda_trade_id exchange_position_id broker_ref trade_ref ticket external_id",
        "instrument": _INSTRUMENT,
        "units": f"initial_units opened_units initial_size opened_size {_UNITS}",
        "units_open": (
            "open_units open_size current_units remaining_units remaining_size open_quantity remaining "
            "open_qty open_lots remaining_lots"
        ),
        "entry_price": (
            "avg_entry_price avg_entry open_rate open_price average_price price_open entry price avg_cost "
            "open_px average_entry_price"
        ),
        "stop_loss": "sl stop_loss_price stop_price stop stoploss sl_price",
        "take_profit": "tp take_profit_price target_price takeprofit tp_price profit_target",
        "margin_used": _MARGIN,
        "status": "state is_open",
        "realized_pnl": _PNL,
        "close_reason": "exit_reason closed_reason sell_reason closing_reason",
        "opened_at": f"open_date open_time entry_time {_STAMP}",
        "closed_at": "close_date close_time exit_time",
    },
    "position_events": {
        "event_id": "id uuid",
        "position_id": _POSITION,
        "sequence": "seq sequence_number event_number event_seq version ordinal revision stream_version event_no",
        "event_type": "type kind name event event_name",
        "payload": "data details body event_data metadata meta content attributes",
        "idempotency_key": "dedupe_key request_id",
        "occurred_at": f"event_time happened_at {_STAMP}",
        "recorded_at": f"stored_at booked_at {_STAMP}",
    },
    "balance_events": {
        "event_id": "id uuid entry_id",
        "account_id": _ACCOUNT,
        "sequence": "seq sequence_number event_number entry_no line_no version ordinal",
        "event_type": "type kind entry_type category reason",
        "balance_before": (
            "previous_balance before_balance old_balance prior_balance balance_prev opening_balance balance_start"
        ),
        "amount": "change_amount delta change signed_amount value net_amount cash_amount",
        "balance_after": "new_balance after_balance running_balance balance closing_balance balance_end",
        "position_id": _POSITION,
        "execution_id": "fill_id exec_id trade_execution_id",
        "broker_transaction_id": _BROKER_TX,
        "occurred_at": f"event_time happened_at posted_at value_date booked_at {_STAMP}",
        "recorded_at": f"stored_at posted_at booked_at {_STAMP}",
    },
    "reconciliations": {
        "reconciliation_id": "run_id id uuid",
        "account_id": _ACCOUNT,
        "started_at": f"run_at began_at {_STAMP}",
        "duration_ms": "took_ms elapsed_ms latency_ms",
        "positions_checked": "checked rows_checked compared positions_compared",
        "mismatches": (
            "discrepancies_found mismatch_count discrepancies differences diffs mismatches_found difference_count"
        ),
    },
}

# Columns that the contract does not have, from which its signs and sums are made.
SIDES = "side direction buy_sell order_side position_side ft_order_side"
SHORTS = "is_short short"
ROLES = "execution_type fill_type role leg entry_exit action"
DEBITS, CREDITS = "debit debit_amount dr", "credit credit_amount cr"
LOT = 100_000
SMALL_LOTS = {"mini": 10_000, "micro": 1_000, "nano": 100}
SECONDS = "duration_s duration_seconds elapsed_s took_s"

# What may be looked up in a table that is named by a reference, where its own does not have it.
_BORROWED = """account_id position_id order_id instrument event_type executed_at created_at occurred_at recorded_at
    broker_transaction_id"""
BORROWED = frozenset(_BORROWED.split())


def synonyms(relation: str, column: str) -> tuple[str, ...]:
    """Every name that the column may have, the most believed first."""
    return (column, *COLUMNS[relation][column].split())


def lot_of(name: str) -> int:
    """How many units one of a column's holds, by its name (`found.plain`): 100,000 in a lot, 1 in a unit."""
    words = name.split("_")
    if not {"lot", "lots"}.intersection(words):
        return 1
    return next((units for word, units in SMALL_LOTS.items() if word in words), LOT)


def table_names(relation: str) -> tuple[str, ...]:
    """Every name that a table of this kind may have, the most believed first."""
    return (relation, *TABLES[relation].split())
