"""A hosted ledger describes itself: tables, types, keys and references, by one GET and a key by name."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from audits.mapping.hosted import read_described
from audits.sources import LedgerUnreadable
from tests.audits.books import clean_books
from tests.audits.sources.postgrest import Answer, standin

KEY_NOTE = "Note:\nThis is a Primary Key.<pk/>"
REFERENCE_NOTE = "Note:\nThis is a Foreign Key to `positions.id`.<fk table='positions' column='id'/>"
DESCRIPTION = {
    "positions": {
        "id": {"format": "uuid", "description": KEY_NOTE},
        "pair": {"format": "text"},
        "side": {"format": "text"},
        "size": {"format": "numeric"},
        "avg_entry_price": {"format": "numeric"},
        "status": {"format": "public.position_status", "enum": ["OPEN", "CLOSED", "ARCHIVED"]},
        "opened_at": {"format": "timestamp with time zone"},
    },
    "fills": {
        "id": {"format": "uuid", "description": KEY_NOTE},
        "position_id": {"format": "uuid", "description": REFERENCE_NOTE},
        "price": {"format": "numeric"},
        "size": {"format": "numeric"},
        "side": {"format": "text"},
    },
}


def described(path: str, answer: Answer) -> Answer:
    """The stand-in's answers, but for its description."""
    if path != "/rest/v1/":
        return answer
    return (
        200,
        {},
        json.dumps({"definitions": {name: {"properties": each} for name, each in DESCRIPTION.items()}}).encode(),
    )


def test_the_description_gives_types_keys_and_references() -> None:
    with standin(clean_books(), change=described) as server:
        tables = {table.name: table for table in read_described(server.url, "good key")}
    assert tables["positions"].key == "id"
    assert [(one.column, one.table, one.target) for one in tables["fills"].references] == [
        ("position_id", "positions", "id")
    ]
    assert {path for path, _, _ in server.asked} == {"/rest/v1/"}


def test_views_are_proposed_and_nothing_is_said_to_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_KEY", "good key")
    said = StringIO()
    with standin(clean_books(), change=described) as server, pytest.raises(SystemExit) as ended:
        call_command(
            "map_ledger", f"--url={server.url}", "--key=env:LEDGER_KEY", f"--out={tmp_path / 'views.sql'}", stdout=said
        )
    assert ended.value.code == 3
    assert "Over HTTP views cannot be tried before they exist" in said.getvalue()
    text = (tmp_path / "views.sql").read_text()
    assert "WHEN 'archived' THEN 'closed'" in text
    assert "LEFT JOIN public.positions AS by_position_id ON by_position_id.id = t.position_id" in text
    assert "good key" not in text + said.getvalue()


def test_a_server_that_describes_nothing_is_one_sentence() -> None:
    with standin(clean_books(), describes=False) as server, pytest.raises(LedgerUnreadable, match="does not describe"):
        read_described(server.url, "good key")
