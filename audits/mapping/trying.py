"""A proposal tried on the data: its SELECTs as named queries of one read-only statement each; nothing is created.

A table above MOST_ROWS is looked at through a sample of its pages, named in each line; what only all rows together
show (totals, chains, numbers without a gap, references) is then left to the audit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg

from audits.contract import BY_NAME
from audits.event_words import BALANCE_EVENTS, POSITION_EVENTS
from audits.mapping.proposing import Proposal, View
from audits.mapping.wording import listed
from audits.mapping.writing import selected

MOST_ROWS = 1_000_000
SAMPLE_ROWS = 100_000
SEED = 7  # of the sample: the same pages are looked at again
AGREES, DIFFERS, UNSEEN = "agrees", "differs", "not seen"
UNREAD = "it could not be read"

WORDS = {
    "orders.status": ("pending", "submitted", "partially_filled", "filled", "cancelled", "rejected"),
    "positions.status": ("open", "closed"),
    "position_events.event_type": POSITION_EVENTS,
    "balance_events.event_type": BALANCE_EVENTS,
}
_CURRENCY = "(AUD|CAD|CHF|CNH|EUR|GBP|JPY|NZD|SGD|USD)"
OF_CURRENCIES = f"instrument ~ '^{_CURRENCY}_?{_CURRENCY}$'"  # whose unit no broker deals in parts
BROKEN_UNITS = "count(*) FILTER (WHERE units <> trunc(units))"
REFERENCES = (
    ("orders", "account_id", "accounts"),
    ("executions", "order_id", "orders"),
    ("executions", "position_id", "positions"),
    ("positions", "account_id", "accounts"),
    ("position_events", "position_id", "positions"),
    ("balance_events", "account_id", "accounts"),
)


@dataclass(frozen=True, slots=True)
class Tried:
    """One line: what was tried, how it came out, in words."""

    name: str
    outcome: str
    words: str


@dataclass(frozen=True, slots=True)
class Question:
    """One question to the views: `sql` gives how many rows were looked at and how many are wrong.

    Of `columns` each must be the ledger's own; those of `order` may be made by the view. A `whole` one needs all rows.
    """

    name: str
    relations: tuple[str, ...]
    columns: tuple[str, ...]
    sql: str
    wrong: str
    whole: bool = False
    order: tuple[str, ...] = ()


def questions() -> Iterator[Question]:
    """All of them, in the order in which they are told."""
    for name, words in WORDS.items():
        relation, column = name.split(".")
        sql = f"SELECT count(*), count(*) FILTER (WHERE {column} NOT IN ({listed(words)})) FROM {relation}"
        yield Question(f"words in {name}", (relation,), (name,), sql, "rows with a word that the contract lacks")
    for relation in ("orders", "executions", "positions"):
        sql = f"SELECT count(*), count(*) FILTER (WHERE units IS NULL OR units = 0) FROM {relation}"
        yield Question(f"units of {relation}", (relation,), (f"{relation}.units",), sql, "rows without a side or units")
        sql = f"SELECT count(*), CASE WHEN max(abs(units)) < 1000 THEN {BROKEN_UNITS} ELSE 0 END FROM {relation}"
        wrong = "rows of currencies with parts of a unit, and none of 1,000: where these are lots, write units * 100000"
        columns = (f"{relation}.units", f"{relation}.instrument")
        yield Question(f"lots in {relation}", (relation,), columns, f"{sql} WHERE {OF_CURRENCIES}", wrong)
    yield Question(
        "both signs of units",
        ("executions",),
        ("executions.units",),
        "SELECT count(*), CASE WHEN count(*) > 1 AND (min(units) > 0 OR max(units) < 0) THEN count(*) ELSE 0 END "
        "FROM executions",
        "executions, all with one sign: a closing must have the other",
    )
    yield Question(
        "closed positions are flat",
        ("executions", "positions"),
        ("executions.units", "executions.position_id", "positions.status"),
        "SELECT count(*), count(*) FILTER (WHERE units <> 0) FROM (SELECT sum(e.units) AS units FROM executions AS e "
        "JOIN positions AS p USING (position_id) WHERE p.status = 'closed' GROUP BY p.position_id) AS sums",
        "closed positions whose executions do not add up to 0",
        whole=True,
    )
    yield Question(
        "balance rows add up",
        ("balance_events",),
        ("balance_events.balance_before", "balance_events.amount", "balance_events.balance_after"),
        "SELECT count(*), count(*) FILTER (WHERE balance_before + amount <> balance_after) FROM balance_events",
        "rows in which before + amount is not after",
    )
    yield from _of_all_rows()


def _of_all_rows() -> Iterator[Question]:
    yield Question(
        "balances follow each other",
        ("balance_events",),
        ("balance_events.balance_before", "balance_events.balance_after"),
        "SELECT count(*), count(*) FILTER (WHERE before <> balance_before) FROM (SELECT balance_before, "
        "lag(balance_after) OVER (PARTITION BY account_id ORDER BY sequence) AS before FROM balance_events) AS chain",
        "events that do not start where the one before ended",
        whole=True,
        order=("balance_events.sequence",),
    )
    yield Question(
        "totals",
        ("accounts", "balance_events"),
        ("accounts.opening_balance", "accounts.balance", "balance_events.amount"),
        "SELECT count(*), count(*) FILTER (WHERE balance <> opening_balance + coalesce(amounts, 0)) FROM accounts "
        "LEFT JOIN (SELECT account_id, sum(amount) AS amounts FROM balance_events GROUP BY account_id) AS sums "
        "USING (account_id)",
        "accounts whose opening balance and amounts do not give their balance",
        whole=True,
    )
    for relation, owner in (("position_events", "position_id"), ("balance_events", "account_id")):
        sql = (
            "SELECT coalesce(sum(events), 0)::bigint, count(*) FILTER (WHERE first <> 1 OR last <> events OR numbers "
            f"<> events) FROM (SELECT {owner}, count(*) AS events, count(DISTINCT sequence) AS numbers, "
            f"min(sequence) AS first, max(sequence) AS last FROM {relation} GROUP BY {owner}) AS numbered"
        )
        wrong = f"owners whose {relation} are not numbered from 1 without a gap"
        yield Question(f"numbers of {relation}", (relation,), (f"{relation}.sequence",), sql, wrong, whole=True)
    for relation, column, target in REFERENCES:
        key = BY_NAME[target].key
        sql = (
            f"SELECT count(*), count(*) FILTER (WHERE o.{key} IS NULL) FROM {relation} AS r LEFT JOIN {target} AS o "
            f"ON o.{key} = r.{column} WHERE r.{column} IS NOT NULL"
        )
        wrong, columns = f"rows that name none of the {target}", (f"{relation}.{column}", f"{target}.{key}")
        yield Question(f"{relation} → {target}", (relation, target), columns, sql, wrong, whole=True)


def tried(connection: psycopg.Connection, proposal: Proposal) -> Iterator[Tried]:
    """Try each view by itself, then ask each question that its columns allow. Each is bounded by the session's limit.

    A view that cannot be read, or takes too long, is told as not seen, and with it what needs it.
    """
    broken: set[str] = set()
    for view in proposal.views:
        line = _rows(connection, view)
        if line.words.startswith(UNREAD):
            broken.add(view.relation.name)
        yield line
    for question in questions():
        views = [view for view in proposal.views if view.relation.name in question.relations]
        if len(views) == len(question.relations) and not broken.intersection(question.relations):
            yield _asked(connection, question, views)


def _rows(connection: psycopg.Connection, view: View) -> Tried:
    """How many rows, and which demanded columns are null in some of them though they have a source."""
    name = view.relation.name
    demanded = [cell.column.name for cell in view.cells if cell.sql is not None and not cell.column.nullable]
    nulls = ", ".join(f"count(*) FILTER (WHERE {column} IS NULL)" for column in demanded)
    query = f"WITH v AS ({selected(view, sample=sample_of(view))}) SELECT count(*), {nulls} FROM v"
    found = _answer(connection, query)
    if isinstance(found, str):
        return Tried(f"{name} can be read", UNSEEN, found)
    missing = [f"{column} ({count})" for column, count in zip(demanded, found[1:], strict=True) if count]
    words = f"{found[0]} rows{_named(view)}"
    if missing:
        return Tried(f"{name} can be read", DIFFERS, f"{words}; null where the contract has none: {', '.join(missing)}")
    return Tried(f"{name} can be read", AGREES if found[0] else UNSEEN, words)


def _asked(connection: psycopg.Connection, question: Question, views: Sequence[View]) -> Tried:
    why_not = _why_not(question, views)
    if why_not:
        return Tried(question.name, UNSEEN, why_not)
    parts = ", ".join(f"{view.relation.name} AS ({selected(view, sample=sample_of(view))})" for view in views)
    found = _answer(connection, f"WITH {parts} {question.sql}")
    if isinstance(found, str):
        return Tried(question.name, UNSEEN, found)
    looked_at, wrong = found
    if wrong:
        return Tried(question.name, DIFFERS, f"{wrong} {question.wrong} (of {looked_at}{_named(*views)})")
    return Tried(question.name, AGREES if looked_at else UNSEEN, f"{looked_at} rows looked at{_named(*views)}")


def _why_not(question: Question, views: Sequence[View]) -> str:
    """Why a question cannot be asked; "" where it can."""
    lacking = [name for name in (*question.columns, *question.order) if _cell_is(views, name, "lacking")]
    if lacking:
        return f"no source for {', '.join(lacking)}"
    made = [name for name in question.columns if _cell_is(views, name, "made")]
    if made:
        return f"{', '.join(made)} is made by the view, which proves nothing"
    if question.whole and any(sample_of(view) for view in views):
        return "too large to be tried whole: the audit looks at every row"
    return ""


def _cell_is(views: Sequence[View], name: str, what: str) -> bool:
    relation, column = name.split(".")
    view = next(view for view in views if view.relation.name == relation)
    cell = view.cell(column)
    return cell.sql is None if what == "lacking" else cell.made


def _answer(connection: psycopg.Connection, query: str) -> tuple[int, ...] | str:
    """The one row of counts, or why there is none."""
    try:
        with connection.transaction():
            row = connection.execute(query.encode()).fetchone()
    except psycopg.errors.QueryCanceled:
        return f"{UNREAD}: it took longer than may be waited for here: the audit looks at every row"
    except psycopg.Error as error:
        return f"{UNREAD}: {' '.join(str(error).split())}"
    return tuple(row) if row else f"{UNREAD}: the server answered nothing"


def sample_of(view: View) -> str:
    """The clause that samples a large table's pages; "" where it is read whole."""
    if view.table.rows <= MOST_ROWS:
        return ""
    percent = max(100 * SAMPLE_ROWS / view.table.rows, 0.0001)
    return f" TABLESAMPLE SYSTEM ({percent:.4f}) REPEATABLE ({SEED})"


def _named(*views: View) -> str:
    samples = [
        f"{view.table.name}{sample_of(view)} of about {view.table.rows} rows" for view in views if sample_of(view)
    ]
    return f", sampled: {'; '.join(samples)}" if samples else ""
