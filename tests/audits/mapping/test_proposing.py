"""Proposals from tables alone: whatever they are called, the file is whole SQL and no name breaks out of a comment."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from audits.contract import BY_NAME, RELATIONS
from audits.mapping.advice import ADVICE
from audits.mapping.found import Field, Reference, Table, plain, singular_of
from audits.mapping.proposing import propose
from audits.mapping.synonyms import COLUMNS, TABLES, synonyms
from audits.mapping.writing import selected, written

TYPES = ("text", "numeric", "integer", "double precision", "timestamp with time zone", "jsonb", "boolean")
WORDS = sorted(
    {name for relation, columns in COLUMNS.items() for column in columns for name in synonyms(relation, column)}
)
names = st.one_of(st.sampled_from(WORDS), st.text(min_size=1, max_size=12).filter(lambda text: "\0" not in text))
fields = st.builds(Field, names, st.sampled_from(TYPES), st.one_of(st.none(), st.just(("Open", "b'uy\nDROP"))))
tables = st.builds(
    lambda name, fields: Table("public", name, tuple({one.name: one for one in fields}.values()), fields[0].name),
    st.one_of(st.sampled_from(sorted(TABLES)), names),
    st.lists(fields, min_size=1, max_size=14),
)


def table(name: str, columns: str, *, key: str = "id", references: tuple[Reference, ...] = ()) -> Table:
    """A table from `name:type` words."""
    pairs = (word.split(":") for word in columns.split())
    return Table("public", name, tuple(Field(one, kind.replace("_", " ")) for one, kind in pairs), key, references)


def test_the_synonyms_and_the_advice_know_every_column_of_the_contract() -> None:
    for relation in RELATIONS:
        assert set(COLUMNS[relation.name]) == {column.name for column in relation.columns}
        demanded = {f"{relation.name}.{column.name}" for column in relation.columns if not column.nullable}
        assert demanded == {name for name in ADVICE if name.startswith(f"{relation.name}.")}


def test_every_synonym_is_written_as_names_are_compared() -> None:
    words = [*WORDS, *(name for names in TABLES.values() for name in names.split())]
    assert [word for word in words if plain(word) != word] == []


@settings(deadline=None, max_examples=60)
@given(st.lists(tables, max_size=5, unique_by=lambda one: one.name))
def test_whatever_the_tables_are_called_each_line_is_sql_or_a_comment(found: list[Table]) -> None:
    proposal = propose(found)
    assert len(proposal.views) + len(proposal.absent) == len(RELATIONS)
    text = written(proposal, ledger="postgresql://here\nDROP", schema="wartest", file="views.sql")
    for view in proposal.views:
        assert [cell.column for cell in view.cells] == list(BY_NAME[view.relation.name].columns)
        assert len(selected(view).split(" AS t")) >= 2
    comments = [line for line in text.splitlines() if line.startswith("-- ")]
    assert any("Nothing but views" in line for line in comments)
    # A comment that a name broke out of would leave its rest on a line of its own.
    starts = ("--", "BEGIN", "COMMIT", "CREATE", "COMMENT", "FROM", "LEFT", "WHERE", "    ")
    sql_names = [field.name for one in found for field in one.fields] + [one.name for one in found]
    if not any(character in name for name in sql_names for character in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"):
        assert [line for line in text.splitlines() if line and not line.startswith(starts)] == []


@settings(deadline=None, max_examples=20)
@given(st.permutations(["positions", "trades", "position_log"]), st.booleans())
def test_the_order_of_the_tables_changes_nothing(order: list[str], singular: bool) -> None:
    made: dict[str, Any] = {name: table(name, "id:text status:text size:numeric entry_price:numeric") for name in order}
    proposal = propose([made[name] for name in order], account="a" if singular else "")
    assert proposal.view("positions").table.name == "positions"


def test_a_binary_fraction_is_never_cast_away() -> None:
    shape = table("positions", "id:text status:text size:numeric entry_price:double_precision avg_entry_price:numeric")
    assert propose([shape]).view("positions").cell("entry_price").sql == "t.avg_entry_price"
    only = table("positions", "id:text is_open:boolean size:numeric entry:numeric realized_pnl:double_precision")
    cell = propose([only]).view("positions").cell("realized_pnl")
    assert (cell.sql, cell.remark) == (
        None,
        "positions.realized_pnl is double precision, a binary fraction, which is not exact: make it numeric",
    )


def test_a_row_is_looked_up_by_a_name_where_no_key_declares_it() -> None:
    shapes = [
        table("positions", "id:text symbol:text side:text status:text size:numeric entry_price:numeric acct:text"),
        table("fills", "id:text position_id:text order_id:text price:numeric qty:numeric role:text at:text"),
    ]
    view = propose(shapes).view("executions")
    assert view.cell("instrument").source == "public.positions.symbol by position_id"
    assert "by_position_id.side" in (view.cell("units").sql or "")
    assert [join.reference.declared for join in view.joins] == [False]


def test_a_word_that_nobody_knows_is_told_and_left_as_it_is() -> None:
    status = Field("status", "text", ("OPEN", "SLEEPING"))
    shape = Table(
        "public",
        "positions",
        (Field("id", "text"), status, Field("size", "numeric"), Field("entry_price", "numeric")),
        "id",
    )
    cell = propose([shape]).view("positions").cell("status")
    assert "WHEN 'open' THEN 'open'" in (cell.sql or "")
    assert cell.remark == "unknown words, write what each means: SLEEPING"


def test_where_nobody_looked_every_word_is_turned_in_any_writing() -> None:
    fields = [Field(name, kind) for name, kind in (("id", "text"), ("status", "text"), ("size", "numeric"))]
    shape = Table("public", "positions", (*fields, Field("entry_price", "numeric")), "id")
    sql = propose([shape]).view("positions").cell("status").sql or ""
    assert "WHEN 'open' THEN 'open'" in sql
    assert "WHEN 'closed' THEN 'closed'" in sql


def test_lots_are_turned_into_units_and_said() -> None:
    columns = "id:text side:text status:text price:numeric order_id:text {}:numeric"
    for name, units in (("lots", 100_000), ("volumeLots", 100_000), ("mini_lots", 10_000), ("quantity", 1)):
        cell = propose([table("executions", columns.format(name))]).view("executions").cell("units")
        assert (f"* {units}" in (cell.sql or "")) == (units > 1)
        assert (f"lots of {units:,} units" in cell.remark) == (units > 1)


def test_one_of_many() -> None:
    assert [singular_of(name) for name in ("entries", "positions", "status", "glass")] == [
        "entry",
        "position",
        "statu",
        "glass",
    ]
