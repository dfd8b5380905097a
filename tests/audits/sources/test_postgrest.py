"""A ledger over PostgREST (a stand-in): whole or named, exact, and never from two moments without a word."""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from audits.contract import RELATIONS
from audits.judge import judge
from audits.snapshot import MANIFEST, take_snapshot
from audits.sources import LedgerUnreadable, postgrest
from audits.sources.postgrest import PostgrestLedger
from audits.verdicts import Verdict
from tests.audits.books import Books, BooksBroker, clean_books
from tests.audits.sources.postgrest import Answer, Standin, standin


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgrest, "PAUSE_S", 0)


@pytest.fixture
def server() -> Iterator[Standin]:
    with standin(clean_books()) as serving:
        yield serving


def taken(server: Standin, folder: Path, key: str = "good key", schema: str = "wartest") -> Any:
    ledger = PostgrestLedger(server.url + "/rest/v1/", key, schema)
    return take_snapshot(ledger, BooksBroker(clean_books()), folder / "one", tie_limit_s=0)


def test_a_hosted_ledger_is_judged_as_any_other(server: Standin, tmp_path: Path) -> None:
    snapshot = taken(server, tmp_path)
    assert (snapshot.tied, judge(tmp_path / "one").verdict) == (True, Verdict.PASSED)
    assert "no single moment" in snapshot.caveat
    assert "good key" not in (tmp_path / "one" / MANIFEST).read_text()
    table = pq.read_table(tmp_path / "one" / "balance_events.parquet")
    assert table["amount"].to_pylist() == [Decimal("12.5"), Decimal("-0.25")]


def many(books: Books, size: int) -> Books:
    first = books.rows("balance_events")[0]
    books.ledger["balance_events"] = [
        first | {"event_id": f"b{number:05}", "sequence": number} for number in range(size)
    ]
    return books


def test_a_server_that_cuts_every_answer_short_is_read_to_the_end(tmp_path: Path) -> None:
    with standin(many(clean_books(), 2501)) as server:
        assert taken(server, tmp_path).relations["balance_events"].rows == 2501
        pages = [headers["Range"] for path, _, headers in server.asked if path.endswith("balance_events")]
    assert pages == ["0-0", "0-9999", "1000-10999", "2000-11999", "0-0"]


@pytest.mark.parametrize(
    "blip",
    [
        lambda answer: (206, {"Content-Range": "1000-1999/2502"}, answer[2]),
        lambda _: (416, {"Content-Range": "*/900"}, b'{"code":"PGRST103","message":"out of range"}'),
    ],
    ids=["a row more", "fewer than were read"],
)
def test_a_count_that_changes_and_changes_back_is_no_whole(tmp_path: Path, blip: Callable[[Answer], Answer]) -> None:
    pages: list[Answer] = []

    def once(path: str, answer: Answer) -> Answer:
        if path.endswith("balance_events"):
            pages.append(answer)
        return blip(answer) if len(pages) == 3 and answer is pages[2] else answer

    with standin(many(clean_books(), 2501)) as server:
        server.change = once
        assert taken(server, tmp_path).relations["balance_events"].rows == 2501
    assert len(pages) == 3 + 5  # the second page ended the first reading; the second reading is whole


def test_numbers_that_come_as_numbers_keep_their_digits(server: Standin, tmp_path: Path) -> None:
    def as_numbers(path: str, answer: Answer) -> Answer:
        status, headers, body = answer
        return status, headers, body.replace(b'"-0.25"', b"-0.250000000000000001")

    server.change = as_numbers
    taken(server, tmp_path)
    table = pq.read_table(tmp_path / "one" / "balance_events.parquet")
    assert table["amount"].to_pylist()[1] == Decimal("-0.250000000000000001")


def of_events(change: Callable[[Answer], Answer]) -> Callable[[str, Answer], Answer]:
    return lambda path, answer: change(answer) if path.endswith("balance_events") else answer


def ranged(content_range: str, body: bytes | None = None) -> Callable[[str, Answer], Answer]:
    return of_events(lambda answer: (206, {"Content-Range": content_range}, answer[2] if body is None else body))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (ranged("0-0/*"), "gave no exact count of balance_events"),
        (of_events(lambda answer: (200, {}, answer[2])), "no Content-Range"),
        (ranged("0-0/5", b"[]"), "says it sent rows 0-0/5 of balance_events, but 0 came"),
        (ranged("*/5", b"[]"), "balance_events has 5 rows, but the server stopped after 0"),
        (ranged("*/3000000", b"[]"), "too many over HTTP"),
        (ranged("0-0/1", b'[{"other": "1"}]'), "without the columns asked for"),
        (of_events(lambda _: (200, {"Content-Type": "text/html"}, b"<html>")), "no JSON (text/html)"),
        (of_events(lambda _: (503, {}, b"busy")), "no usable answer in 3 tries: it answered 503"),
        (
            of_events(lambda _: (404, {}, b'{"code":"PGRST205","message":"x"}')),
            "has no relation wartest.balance_events",
        ),
        (
            of_events(lambda _: (400, {}, b'{"code":"42703","message":"column amount does not exist"}')),
            "lacks a column (column amount does not exist)",
        ),
        (of_events(lambda _: (200, {}, b'{"a": 1}')), "answered 200 for wartest.balance_events"),
    ],
)
def test_every_answer_that_is_not_whole_is_named(server: Standin, tmp_path: Path, change: Any, sentence: str) -> None:
    server.change = change
    with pytest.raises(LedgerUnreadable) as raised:
        taken(server, tmp_path)
    assert sentence in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_key_schema_or_address_is_named(server: Standin, tmp_path: Path) -> None:
    with pytest.raises(LedgerUnreadable, match="refused the key with 401") as raised:
        taken(server, tmp_path, key="secret")
    assert "secret" not in str(raised.value)
    with pytest.raises(LedgerUnreadable, match="does not expose the schema other"):
        taken(server, tmp_path, schema="other")
    with (
        pytest.raises(LedgerUnreadable, match="gave no usable answer"),
        PostgrestLedger("http://127.0.0.1:1", "k").at_one_moment(RELATIONS),
    ):
        pass


def test_a_ledger_that_changes_once_is_read_again_and_one_that_never_stands_still_is_refused(
    server: Standin, tmp_path: Path
) -> None:
    changes = iter(range(1))

    def grow(path: str, answer: Answer) -> Answer:
        """A row more in a relation that was already read, as soon as the last one is asked for."""
        if path.endswith("reconciliations") and len(json.loads(answer[2])[0]) > 1 and next(changes, None) is not None:
            row = server.books.rows("orders")[0]
            server.books.rows("orders").append(row | {"order_id": f"z{len(server.asked)}"})
        return answer

    server.change = grow
    assert taken(server, tmp_path).relations["orders"].rows == 4
    changes = iter(range(100))
    with pytest.raises(LedgerUnreadable, match="changed during each of 3 readings"):
        taken(server, tmp_path / "more")


def test_a_row_that_changes_in_place_is_seen_by_its_time(server: Standin, tmp_path: Path) -> None:
    def move(path: str, answer: Answer) -> Answer:
        if path.endswith("reconciliations"):
            server.books.rows("accounts")[0]["updated_at"] = f"2026-11-22 12:00:00.{len(server.asked):06}+00"
        return answer

    server.change = move
    with pytest.raises(LedgerUnreadable, match="changed during each"):
        taken(server, tmp_path)


def test_a_key_that_is_not_unique_is_refused(server: Standin, tmp_path: Path) -> None:
    server.books.rows("orders").append(dict(server.books.rows("orders")[0]))
    with pytest.raises(LedgerUnreadable, match="orders has order_id o1 twice"):
        taken(server, tmp_path)


@pytest.mark.parametrize(
    ("column", "kind"), [("amount", "double precision"), ("occurred_at", "timestamp without time zone")]
)
def test_types_that_are_not_exact_are_refused_by_name(server: Standin, tmp_path: Path, column: str, kind: str) -> None:
    server.types = {column: kind}
    with pytest.raises(LedgerUnreadable, match=rf"wartest\.\w+_events\.{column} is {kind}"):
        taken(server, tmp_path)


def test_a_server_that_does_not_describe_its_types_is_read_with_a_caveat(server: Standin, tmp_path: Path) -> None:
    server.describes = False
    assert "does not describe the types" in taken(server, tmp_path).caveat
