"""The SQL file of a proposal: views in their schema, each column with its source, gaps in words. Pure."""

from audits.checks import CHECKS
from audits.contract import Column, Kind, Relation
from audits.mapping.advice import ADVICE
from audits.mapping.deriving import Cell
from audits.mapping.proposing import Proposal, View
from audits.mapping.wording import comment, ident, literal
from audits.sources import MADE, UNKEPT

_TYPES = {
    Kind.TEXT: "text",
    Kind.EXACT: "numeric",
    Kind.COUNT: "bigint",
    Kind.MOMENT: "timestamptz",
    Kind.JSON: "jsonb",
}
_HEAD = """\
-- The seven relations of the ledger contract, as views over {ledger}.
-- Read it, mend what is marked with "<<", and run it once as an owner of the database:
--     psql "$LEDGER_URL" --set ON_ERROR_STOP=1 --file {file}
-- Nothing but views in the schema {schema} is created; no table of yours is touched.
-- A number behind a source says how sure the proposal is, 0 to 100. A COMMENT marks what the view makes up or lacks,
-- so that no check passes by it: take the line out, and write IS NULL, once the column is the ledger's own.

BEGIN;
CREATE SCHEMA IF NOT EXISTS {quoted};
"""
_TAIL = """
-- Let a role of its own read them, and nothing else:
-- CREATE ROLE wartest_reader LOGIN PASSWORD '…';
-- GRANT USAGE ON SCHEMA {quoted} TO wartest_reader;
-- GRANT SELECT ON ALL TABLES IN SCHEMA {quoted} TO wartest_reader;
COMMIT;
"""


def written(proposal: Proposal, *, ledger: str, schema: str, file: str) -> str:
    """The whole file. `ledger` names the database without secrets."""
    quoted = ident(schema)
    parts = [_HEAD.format(ledger=comment(ledger), file=comment(file), schema=comment(schema), quoted=quoted)]
    for view in proposal.views:
        parts.append(_view(view, quoted))
    parts += [_absent(relation) for relation in proposal.absent]
    parts.append(_TAIL.format(quoted=quoted))
    return "\n".join(parts)


def selected(view: View, *, sample: str = "") -> str:
    """The SELECT of a view, without comments; `sample` goes behind its table."""
    cells = ", ".join(f"{expression(cell)} AS {cell.column.name}" for cell in view.cells)
    return f"SELECT {cells} {_from(view, sample)}"


def expression(cell: Cell) -> str:
    """What a column reads; a typed NULL where nothing was found."""
    return cell.sql if cell.sql is not None else f"NULL::{_TYPES[cell.column.kind]}"


def needing(relation: str) -> tuple[str, ...]:
    """The checks that say nothing without a relation."""
    return tuple(check.name for check in CHECKS if relation in check.needs)


def _view(view: View, schema: str) -> str:
    name, table = view.relation.name, view.table
    columns = list(view.cells)
    lines = [f"-- {name}: from {comment(f'{table.schema}.{table.name}')} ({view.score})"]
    lines += [f"CREATE OR REPLACE VIEW {schema}.{name} AS SELECT"]
    for cell in columns:
        comma = "" if cell is columns[-1] else ","
        lines.append(f"    {expression(cell)} AS {cell.column.name}{comma}  -- {told(view.relation, cell)}")
    lines.append(_from(view, "") + ";")
    for cell in columns:
        if cell.made or (cell.sql is None and not cell.column.nullable):
            words = literal(MADE if cell.made else UNKEPT)
            lines.append(f"COMMENT ON COLUMN {schema}.{name}.{cell.column.name} IS {words};  -- until it is your own")
    return "\n".join(lines) + "\n"


def told(relation: Relation, cell: Cell) -> str:
    """Where a column is from, or what to write, on one line."""
    if cell.sql is None:
        return comment(_gap(relation, cell.column, cell.remark))
    made = "made by the view" if cell.made and not cell.source else cell.source
    mark = "<< " if cell.made or cell.remark.startswith(("unknown", "no side")) else ""
    return comment(f"{mark}{made} ({cell.score})" + (f"; {cell.remark}" if cell.remark else ""))


def _gap(relation: Relation, column: Column, remark: str) -> str:
    words = f"; {remark}" if remark else ""
    if column.nullable:
        return f"nothing found; may stay null{words}"
    return f"<< nothing found{words}: {ADVICE[f'{relation.name}.{column.name}']}"


def _from(view: View, sample: str) -> str:
    lines = [f"FROM {ident(view.table.schema)}.{ident(view.table.name)} AS t{sample}"]
    for join in view.joins:
        other = f"{ident(join.table.schema)}.{ident(join.table.name)} AS {join.alias}"
        lines.append(
            f"LEFT JOIN {other} ON {join.alias}.{ident(join.reference.target)} = t.{ident(join.reference.column)}"
        )
    lines += [f"WHERE {view.where}"] if view.where else []
    return "\n".join(lines)


def _absent(relation: Relation) -> str:
    columns = ", ".join(column.name + ("?" if column.nullable else "") for column in relation.columns)
    return (
        f"-- << {relation.name}: no table was found. Without it these checks are inconclusive:\n"
        f"--    {', '.join(needing(relation.name))}\n"
        f"--    To add it: CREATE VIEW … AS SELECT {columns}\n"
    )
