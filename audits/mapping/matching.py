"""Which column of a table is meant by a column of the contract, and how it is read exactly. Pure."""

from collections.abc import Iterator

from audits.contract import BY_NAME, Column, Kind
from audits.mapping.deriving import Cell, Source
from audits.mapping.found import Field, Table, plain
from audits.mapping.synonyms import BORROWED, lot_of, synonyms
from audits.mapping.vocabulary import translated
from audits.mapping.wording import ident, literal

OWN_NAME, FIRST_SYNONYM, BORROWED_LESS, LEAST = 100, 92, 15, 60
_EXACT = frozenset({"numeric", "bigint", "integer", "smallint"})
_BINARY = frozenset({"double precision", "real", "float8", "float4"})
_TYPES: dict[Kind, frozenset[str]] = {
    Kind.EXACT: _EXACT | {"money"},
    Kind.COUNT: _EXACT,
    Kind.MOMENT: frozenset({"timestamp with time zone", "timestamp without time zone"}),
    Kind.JSON: frozenset({"json", "jsonb", "text"}),
}
_NO_TEXT = frozenset({"json", "jsonb", "bytea", "timestamp with time zone", "timestamp without time zone", "boolean"})


def matched(source: Source) -> dict[str, Cell]:
    """A cell for each column of the contract: found in the table, borrowed from one that it names, or nothing."""
    taken: dict[str, str] = {}
    cells = {}
    for column in source.relation.columns:
        cell = _own(source, column, taken) or _borrowed(source, column) or _nothing(source, column)
        cells[column.name] = cell
        if cell.field:
            taken.setdefault(cell.field, column.name)
    return cells


def _own(source: Source, column: Column, taken: dict[str, str]) -> Cell | None:
    """The first synonym that the table has, in a type that fits. One column is not taken for two different things."""
    for place, found in _candidates(source.table, source.relation.name, column):
        score = OWN_NAME if place == 0 else max(LEAST, FIRST_SYNONYM - 2 * (place - 1))
        other = taken.get(found.name)
        if other and column.kind is not Kind.MOMENT:
            continue
        sql, remark = read_as(source, column, f"t.{ident(found.name)}", found)
        told = f"{source.table.schema}.{source.table.name}.{found.name}"
        return Cell(column, sql, told, LEAST if other else score, remark, found.name)
    return None


def _candidates(table: Table, relation: str, column: Column) -> Iterator[tuple[int, Field]]:
    """The columns that may be meant, the most believed first; a key is the table's own key, but of an account."""
    names = synonyms(relation, column.name)
    is_key = column.name == _key_of(relation)
    if is_key and relation != "accounts" and table.key:
        own = table.named(table.key)
        if own is not None:
            yield 0, own
    for place, name in enumerate(names):
        for found in table.called(name):
            if fits(column.kind, found) and (is_key or found.name != table.key or place == 0):
                yield place, found


def _key_of(relation: str) -> str:
    return BY_NAME[relation].key


def fits(kind: Kind, found: Field) -> bool:
    """Whether a type can hold what the contract wants, exactly."""
    if kind is Kind.TEXT:
        return found.type not in _NO_TEXT | _BINARY or (found.type == "boolean" and found.name.startswith("is_"))
    return found.type in _TYPES[kind]


def read_as(source: Source, column: Column, sql: str, found: Field) -> tuple[str, str]:
    """The expression that reads a column as the contract wants it, and what must be known of it."""
    if column.kind is Kind.MOMENT and found.type == "timestamp without time zone":
        return f"{sql} AT TIME ZONE 'UTC'", "has no zone: taken for UTC, look whether it is"
    lot = lot_of(plain(found.name)) if column.name in ("units", "units_open") else 1
    if lot > 1:
        return f"{sql} * {lot}", f"taken for lots of {lot:,} units: write how many one of yours has, if it is another"
    if found.type == "money":
        return f"{sql}::numeric", ""
    return _text_as(source, column, sql, found) if column.kind is Kind.TEXT else (sql, "")


def _text_as(source: Source, column: Column, sql: str, found: Field) -> tuple[str, str]:
    words = translated(source.relation.name, column.name)
    if found.type == "boolean":
        return f"CASE WHEN {sql} THEN 'open' WHEN NOT {sql} THEN 'closed' END", "made from yes and no"
    if words is not None:
        return _translated(sql, words, found.words)
    if column.name == "instrument":
        return f"replace(upper({sql}::text), '/', '_')", "written as the broker writes it: EUR_USD"
    return (sql if found.type == "text" else f"{sql}::text"), ""


def _translated(sql: str, words: dict[str, str], seen: tuple[str, ...] | None) -> tuple[str, str]:
    """The contract's word for each word that is there; one that nobody knows stays as it is, and is told."""
    present = {word.lower(): word for word in seen} if seen is not None else {word: word for word in words}
    # Where nobody looked, a word may stand there in any writing.
    turned = {word: words[word] for word in present if word in words and (seen is None or words[word] != present[word])}
    unknown = sorted(present[word] for word in present if word not in words)
    remark = f"unknown words, write what each means: {', '.join(unknown)}" if unknown else ""
    if not turned:
        return f"{sql}::text", remark
    cases = " ".join(f"WHEN {literal(word)} THEN {literal(own)}" for word, own in sorted(turned.items()))
    return f"CASE lower({sql}::text) {cases} ELSE {sql}::text END", remark


def _borrowed(source: Source, column: Column) -> Cell | None:
    """The column in a table that this one names by a reference."""
    if column.name not in BORROWED:
        return None
    for reference in source.table.references:
        other = source.tables.get(reference.table)
        if other is None:
            continue
        for place, name in enumerate(synonyms(source.relation.name, column.name)):
            for found in other.called(name):
                if fits(column.kind, found) and found.name != other.key:
                    sql, remark = read_as(source, column, f"{source.alias(reference)}.{ident(found.name)}", found)
                    score = max(LEAST, FIRST_SYNONYM - 2 * place) - BORROWED_LESS
                    told = f"{other.schema}.{other.name}.{found.name} by {reference.column}"
                    return Cell(column, sql, told, score, remark, uses=(reference,))
    return None


def _nothing(source: Source, column: Column) -> Cell:
    """No source; where a column of the right name has the wrong type, the sentence says so."""
    if column.name == "account_id" and source.account:
        return Cell(column, literal(source.account), "--account", 80)
    for name in synonyms(source.relation.name, column.name):
        for found in source.table.called(name):
            if column.kind in (Kind.EXACT, Kind.COUNT) and found.type in _BINARY:
                words = f"{source.table.name}.{found.name} is {found.type}, a binary fraction, which is not exact"
                return Cell(column, None, "", 0, f"{words}: make it numeric")
    return Cell(column, None, "", 0)
