"""Columns that are made from others: signs from sides, amounts from debits and credits, numbers from an order. Pure.

A column that the view makes up itself proves nothing about the ledger's own: it is marked as made, the file says so in
a comment on the column, and the audit lets no check pass by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from audits.contract import Column, Relation
from audits.mapping.found import Field, Reference, Table, plain
from audits.mapping.synonyms import CREDITS, DEBITS, ROLES, SECONDS, SHORTS, SIDES, synonyms, table_names
from audits.mapping.vocabulary import BUY, ENTRY, EXIT, SELL
from audits.mapping.wording import ident, listed

DERIVED, MADE = 85, 60
_NUMBERS = frozenset({"numeric", "bigint", "integer", "smallint"})


@dataclass(frozen=True, slots=True)
class Cell:
    """One column of a view: its expression and where it is from in words; no expression where nothing was found.

    `score` is 0 to 100: how sure. `field` is the column of the table itself. `made` says that the view makes it up.
    `uses` are the references over which it is looked up.
    """

    column: Column
    sql: str | None
    source: str
    score: int
    remark: str = ""
    field: str = ""
    made: bool = False
    uses: tuple[Reference, ...] = ()

    def remade(self, sql: str | None, remark: str, score: int) -> "Cell":
        """The same column, made up by the view."""
        return replace(self, sql=sql, remark=remark, score=score, made=True)

    def derived(self, sql: str, source: str, uses: tuple[Reference, ...] = (), *, remark: str = "") -> "Cell":
        """The same column, worked out from what the ledger holds."""
        return replace(self, sql=sql, source=source, score=DERIVED, remark=remark, uses=(*self.uses, *uses))


@dataclass(frozen=True, slots=True)
class Source:
    """What a view may be made from: its table, the others by name, and the account where no column names one."""

    relation: Relation
    table: Table
    tables: Mapping[str, Table]
    account: str = ""

    def alias(self, reference: Reference) -> str:
        """What the table that is reached by a reference is called in the view."""
        return f"by_{plain(reference.column)}"


@dataclass(frozen=True, slots=True)
class Join:
    """A table that a view looks into, by a reference of its own table."""

    alias: str
    table: Table
    reference: Reference


Cells = dict[str, Cell]


def completed(source: Source, cells: Cells) -> tuple[tuple[Cell, ...], tuple[Join, ...]]:
    """Fill in what can be derived, then what can only be made; the cells in the contract's order, and their joins."""
    name = source.relation.name
    if name in ("orders", "executions", "positions"):
        _sign(source, cells)
    if name == "positions":
        _complete_position(cells)
    if name == "executions" and plain(source.table.name) in table_names("orders"):
        _fill_of_order(source, cells)
    if name == "balance_events":
        _complete_amount(source, cells)
        _complete_balances(source, cells)
    if name == "reconciliations":
        _complete_duration(source, cells)
    if "sequence" in cells and cells["sequence"].sql is None:
        _number(source, cells)
    _copied(cells)
    ordered = tuple(cells[column.name] for column in source.relation.columns)
    uses = dict.fromkeys(reference for cell in ordered for reference in cell.uses)
    joins = tuple(Join(source.alias(each), source.tables[each.table], each) for each in uses)
    return ordered, joins


def _copied(cells: Cells) -> None:
    """Two times that are one column cannot contradict each other."""
    first, second = cells.get("occurred_at"), cells.get("recorded_at")
    if first and second and first.sql and first.sql == second.sql:
        words = "the same as occurred_at: that it was not written before it happened proves nothing"
        cells["recorded_at"] = second.remade(second.sql, words, MADE)


def _called(table: Table, words: str, types: frozenset[str]) -> Field | None:
    return next((found for word in words.split() for found in table.called(word) if found.type in types), None)


def _sign(source: Source, cells: Cells) -> None:
    """Units are negative for a sale: by the row's own side, or for an execution by its position's side and its role."""
    units = cells["units"]
    if units.sql is None:
        return
    uses: tuple[Reference, ...] = ()
    sign, told = _own_sign(source.table, "t"), "its side"
    if not sign and source.relation.name == "executions":
        sign, told, uses = _by_position(source)
    if not sign:
        words = "no side was found: must be negative for a sale, look whether it is"
        cells["units"] = replace(units, remark=f"{words}; {units.remark}" if units.remark else words)
        return
    signed = units.derived(f"abs({units.sql}) * {sign}", f"{units.source} and {told}", uses, remark=units.remark)
    cells["units"] = signed
    if "units_open" in cells and cells["units_open"].sql is not None:
        still = cells["units_open"]
        told = f"{still.source} and its side"
        cells["units_open"] = still.derived(f"abs({still.sql}) * {sign}", told, remark=still.remark)


def _own_sign(table: Table, alias: str) -> str:
    """1 or −1 by the side of a row; "" where the table has none."""
    side = _called(table, SIDES, frozenset({"text", "character varying", "character", "USER-DEFINED"}))
    if side is not None:
        word = f"lower({alias}.{ident(side.name)}::text)"
        return f"CASE WHEN {word} IN ({listed(BUY.split())}) THEN 1 WHEN {word} IN ({listed(SELL.split())}) THEN -1 END"
    short = _called(table, SHORTS, frozenset({"boolean"}))
    return f"CASE WHEN {alias}.{ident(short.name)} THEN -1 ELSE 1 END" if short is not None else ""


def _by_position(source: Source) -> tuple[str, str, tuple[Reference, ...]]:
    role = _called(source.table, ROLES, frozenset({"text", "character varying", "character", "USER-DEFINED"}))
    for reference in source.table.references if role else ():
        other = source.tables.get(reference.table)
        sign = _own_sign(other, source.alias(reference)) if other else ""
        if role and sign:
            word = f"lower(t.{ident(role.name)}::text)"
            turned = (
                f"CASE WHEN {word} IN ({listed(ENTRY.split())}) THEN 1 "
                f"WHEN {word} IN ({listed(EXIT.split())}) THEN -1 END"
            )
            return f"({turned}) * ({sign})", f"{role.name}, and the side by {reference.column}", (reference,)
    return "", "", ()


def _fill_of_order(source: Source, cells: Cells) -> None:
    """A table of orders that hold their own fill: each is the order that it fills."""
    for name in ("order_id", "execution_id") if source.table.key else ():
        told = f"{source.table.schema}.{source.table.name}.{source.table.key}"
        sql, words = f"t.{ident(source.table.key)}::text", "each order holds its own fill"
        cells[name] = replace(cells[name], sql=sql, source=told, score=DERIVED, remark=words, uses=())


def _complete_position(cells: Cells) -> None:
    """Open or closed by the time of its close; what is still open by its status, where the ledger keeps neither."""
    status, closed, units, still = (cells[name] for name in ("status", "closed_at", "units", "units_open"))
    if status.sql is None and closed.sql is not None:
        status = status.derived(f"CASE WHEN {closed.sql} IS NULL THEN 'open' ELSE 'closed' END", closed.source)
        cells["status"] = status
    if still.sql is None and units.sql is not None and status.sql is not None:
        words = "made from units and status: that they agree proves nothing"
        made = f"CASE WHEN {status.sql} = 'closed' THEN 0 ELSE {units.sql} END"
        cells["units_open"] = still.remade(made, words, MADE)


def _complete_amount(source: Source, cells: Cells) -> None:
    """Debit less credit, as the account of an asset grows."""
    debit, credit = (_called(source.table, words, _NUMBERS) for words in (DEBITS, CREDITS))
    if cells["amount"].sql is None and debit is not None and credit is not None:
        sql = f"coalesce(t.{ident(debit.name)}, 0) - coalesce(t.{ident(credit.name)}, 0)"
        told = f"{source.table.schema}.{source.table.name}.{debit.name} less {credit.name}"
        words = "as an asset grows; turn it round for accounts that grow by credit"
        cells["amount"] = cells["amount"].derived(sql, told, remark=words)


def _opening(source: Source, cells: Cells) -> tuple[str, tuple[Reference, ...]]:
    """What the account held at first, where its table says so; else the sums begin at 0."""
    own = cells["account_id"].field
    for reference in source.table.references:
        other = source.tables.get(reference.table)
        found = _called(other, " ".join(synonyms("accounts", "opening_balance")), _NUMBERS) if other else None
        if reference.column == own and found is not None:
            return f"coalesce({source.alias(reference)}.{ident(found.name)}, 0) + ", (reference,)
    return "", ()


def _complete_balances(source: Source, cells: Cells) -> None:
    before, amount, after = (cells[name] for name in ("balance_before", "amount", "balance_after"))
    if amount.sql is None:
        return
    words = "made from the other two: that the row adds up proves nothing"
    if before.sql is None and after.sql is not None:
        cells["balance_before"] = before.remade(f"{after.sql} - ({amount.sql})", words, MADE)
    elif after.sql is None and before.sql is not None:
        cells["balance_after"] = after.remade(f"{before.sql} + ({amount.sql})", words, MADE)
    elif before.sql is None and _window(source, cells):
        start, uses = _opening(source, cells)
        total = f"{start}sum({amount.sql}) OVER ({_window(source, cells)})"
        words = "made by adding up: that the chain holds proves nothing"
        cells["balance_after"] = replace(after.remade(total, words, MADE), uses=uses)
        cells["balance_before"] = replace(before.remade(f"{total} - ({amount.sql})", words, MADE), uses=uses)


def _complete_duration(source: Source, cells: Cells) -> None:
    seconds = _called(source.table, SECONDS, _NUMBERS)
    if cells["duration_ms"].sql is None and seconds is not None:
        told = f"{source.table.schema}.{source.table.name}.{seconds.name}"
        cells["duration_ms"] = cells["duration_ms"].derived(f"t.{ident(seconds.name)} * 1000", told)


def _number(source: Source, cells: Cells) -> None:
    """Numbered by time and key: an order that somebody must vouch for, and in which no gap can ever show."""
    window = _window(source, cells)
    if window:
        words = "made by time and key, a gap cannot show; number events from 1 yourself, in one transaction with each"
        cells["sequence"] = cells["sequence"].remade(f"row_number() OVER ({window})", words, MADE)


def _window(source: Source, cells: Cells) -> str:
    """The events of one owner in the order of time and key; "" where time or owner is unknown."""
    time, owner = cells["occurred_at"].sql, _owner(cells)
    key = f", t.{ident(source.table.key)}" if source.table.key else ""
    return f"PARTITION BY {owner} ORDER BY {time}{key}" if time and owner else ""


def _owner(cells: Cells) -> str:
    return (cells["account_id"] if "account_id" in cells else cells["position_id"]).sql or ""
