"""A foreign desk through the whole portal, by the commands that a user types and nothing else.

Gate 2 of a smoke test takes minutes, so that only who sets WARTEST_WHOLE_STORY sees the three gates to their end.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.foreign_desk.ground import HERE, node, with_template
from tests.foreign_desk.standing import Standing, standing
from tests.gates.rehearsal.desk.processes import wait_until
from tests.gates.test_gate_1 import Portal
from tests.gates.test_gate_1 import portal as stack  # noqa: F401 - a fixture
from wartest_site.environment import ADOPTED

LIMIT_S = 1500
KILLED = ("--point", "broker:answer:1:POST /v3/accounts/*/orders", "--strike", "kill before")


@pytest.fixture(scope="module")
def desk(postgres_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """Meridian, trading, with some lots closed; its secrets where the portal will run."""
    folder = tmp_path_factory.mktemp("meridian")
    with_template("meridian", postgres_server)
    with standing("meridian", postgres_server, folder) as found, pytest.MonkeyPatch.context() as patch:
        for name, value in found.secrets.items():
            patch.setenv(name, value)
        patch.setenv(ADOPTED, "")  # whatever stands in this machine's own .env
        with psycopg.connect(found.secrets["MERIDIAN_DATABASE_URL"], autocommit=True) as connection:
            closed = "SELECT count(*) FROM meridian.lots WHERE ended IS NOT NULL"
            wait_until(lambda: connection.execute(closed).fetchone()[0] >= 3, what="it has closed lots", limit_s=240)  # type: ignore[index]
        yield found


@pytest.fixture(scope="module")
def portal(desk: Standing, request: pytest.FixtureRequest) -> Portal:
    found: Portal = request.getfixturevalue("stack")
    return found


def described(folder: Path, bug: str = "") -> str:
    """Its description as it is, run by this machine's node; or another one, with one of its mistakes switched on."""
    text = (HERE / "meridian.toml").read_text().replace('["node"', json.dumps(node())[:-1])
    if bug:
        text = text.replace('name = "meridian"', f'name = "meridian-{bug}"')
        text = text.replace('WATCH_MS = "3600000"', f'WATCH_MS = "3600000", BUG = "{bug}"')
    path = folder / f"meridian{bug}.toml"
    path.write_text(text)
    return str(path)


def said(portal: Portal, *words: str, code: int = 0) -> str:
    """Run a command to its end, and return what it printed; it must end with this exit code."""
    process = portal.start("manage.py", *words, NO_COLOR="1")
    out, complained = process.communicate(timeout=LIMIT_S)
    assert process.returncode == code, f"{out[-3000:]}\n{complained[-2000:]}"
    return out


def test_what_the_messages_say_leads_from_nothing_to_books_that_are_right(portal: Portal, tmp_path: Path) -> None:
    added = said(portal, "add_target", described(tmp_path))
    assert added.splitlines()[-1] == "Next: uv run manage.py preflight --target meridian"
    looked = said(portal, "preflight", "--target", "meridian")
    assert {line[:2] for line in looked.splitlines()[:-1]} == {"OK", "??"}, looked
    assert "program in a cell, books afterwards: every check passed" in looked
    reports = ("--reports-dir", str(tmp_path / "reports"))
    judged = said(portal, "run_manual_audit", "--target", "meridian", "--profile", "smoke", *reports)
    report = json.loads(Path(judged.splitlines()[-1]).read_text())
    assert {check["verdict"] for check in report["checks"]} == {"passed"}
    if os.environ.get("WARTEST_WHOLE_STORY"):
        passed = said(portal, "run_phase_7", "--target", "meridian", "--profile", "smoke", *reports)
        report = json.loads(Path(passed.splitlines()[-1]).read_text())
        assert (report["verdict"], report["findings"]) == ("passed", [])
        assert {line["verdict"] for line in report["criteria"]} == {"passed"}


def test_a_mistake_is_found_by_the_command_and_named_with_the_strike_that_repeats_it(
    portal: Portal, tmp_path: Path
) -> None:
    said(portal, "add_target", described(tmp_path, "naked"))
    asked = ("--target", "meridian-naked", "--profile", "smoke", "--scenario", "kill_during_trade_open")
    reports = ("--reports-dir", str(tmp_path / "reports"))
    found = said(portal, "run_chaos_scenarios", *asked, "--operation", "open", *KILLED, *reports, code=1)
    assert "failed: kill before at broker: POST orders answered 201: position without stop" in found
    assert "again: uv run manage.py run_chaos_scenarios --target meridian-naked" in found
