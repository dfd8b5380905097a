"""Where a run was taken: facts, and what of them is not production's."""

import json
import os
from datetime import UTC, datetime

import pytest

from gates.targets.access import access
from gates.targets.environment import environment_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def seen(place, monkeypatch):
    for name, value in place.variables.items():
        monkeypatch.setenv(name, value)

    def see(*, cells=False, **sections):
        spec = place.spec | sections
        return environment_of(spec, access(spec), NOW, cells=cells)

    return see


def test_the_facts_are_told_without_a_secret_and_compared_with_nothing_where_nobody_said(seen):
    told = seen()
    assert {"system", "python", "processors", "network", "ledger_server_version", "ledger_size_mib"} <= set(
        told["facts"]
    )
    assert all(isinstance(value, str) for value in told["facts"].values())
    assert (told["compared"], told["differences"]) == (False, [])
    assert "no [production]" in told["not_compared_because"]
    kept = json.dumps(told)
    assert os.environ["LEDGER_URL"] not in kept
    assert os.environ["OANDA_API_KEY"] not in kept


def test_only_what_is_not_productions_differs(seen):
    facts = seen()["facts"]
    told = seen(production={"identity": facts | {"python": "2.7"}})
    assert told["differences"] == [{"fact": "python", "here": facts["python"], "production": "2.7"}]
    assert told["compared"]
    assert seen(production={"identity": facts})["differences"] == []


def test_a_file_of_production_that_cannot_be_read_is_why_nothing_was_compared(seen, tmp_path):
    told = seen(production={"file": str(tmp_path / "gone.json")})
    assert not told["compared"]
    assert "gone.json cannot be read" in told["not_compared_because"]


def test_the_server_of_the_copies_stands_for_productions_ledger(seen, place):
    facts = seen()["facts"]
    version = facts["ledger_server_version"]
    described = {"chaos": {"ledger": "env:LEDGER_URL"}, "production": {"identity": facts}}
    assert "cells_server_version" not in seen(**described)["facts"]
    told = seen(cells=True, **described)
    assert told["facts"]["cells_server_version"] == version
    assert told["differences"] == []
    described["production"] = {"identity": facts | {"ledger_server_version": "9.6"}}
    differing = {line["fact"]: line["production"] for line in seen(cells=True, **described)["differences"]}
    assert differing == {"ledger_server_version": "9.6", "cells_server_version": "9.6"}
