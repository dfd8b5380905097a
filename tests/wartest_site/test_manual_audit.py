"""The audit from a terminal: three forms, one verdict; each bad input is one sentence and leaves nothing behind."""

import json
import os
import subprocess
import sys
import threading
import zipfile
from contextlib import nullcontext
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from audits.checks import CHECKS
from audits.contract import RELATIONS
from audits.snapshot import take_snapshot
from gates import commands, reports
from gates.evidence.sealing import body_sha256
from gates.ledger_audit import starting
from gates.models import Run
from tests.audits.books import BooksBroker, clean_books
from tests.gates.ledger_audit.auditable import auditable, write_ledger
from wartest_site import manual_audit
from wartest_site.environment import BASE_DIR

PASSED, FAILED, NO_START, INCONCLUSIVE = 0, 1, 2, 3


def broken_books():
    """Return books of which one balance event does not add up."""
    books = clean_books()
    books.rows("balance_events")[0]["amount"] += 1
    return books


def a_snapshot(folder, books=None):
    books = books or clean_books()
    take_snapshot(books, BooksBroker(books), folder, tie_limit_s=0)
    return folder


@pytest.fixture
def audit(tmp_path, capsys):
    """Run the command; return exit code, lines of standard output, and standard error."""

    def run(*arguments, reports_dir=tmp_path / "reports"):
        with pytest.raises(SystemExit) as ended:
            call_command("run_manual_audit", *map(str, arguments), "--reports-dir", str(reports_dir))
        seen = capsys.readouterr()
        return ended.value.code, seen.out.splitlines(), seen.err

    return run


def report_in(lines):
    return json.loads(Path(lines[-1]).read_text())


def test_a_snapshot_is_judged_again_without_any_database(tmp_path):
    folder = a_snapshot(tmp_path / "sealed", broken_books())
    ended = subprocess.run(
        [
            *(sys.executable, "manage.py", "run_manual_audit", "--snapshot", str(folder)),
            *("--reports-dir", str(tmp_path / "reports")),
        ],
        cwd=BASE_DIR,
        env=os.environ | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing", "WARTEST_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == FAILED, ended.stderr
    report = report_in(ended.stdout.splitlines())
    assert report["verdict"] == "failed"
    assert {line["name"]: line["verdict"] for line in report["checks"]}["balance_row"] == "failed"
    assert "Balance event b1 (PNL_REALIZED) ends at 100012.5" in ended.stdout


def test_the_report_says_what_was_judged_and_seals_itself(audit, tmp_path):
    folder = a_snapshot(tmp_path / "sealed", broken_books())
    _, lines, _ = audit("--snapshot", folder)
    report = report_in(lines)
    assert (report["schema"], report["kind"]) == ("wartest.report/1", "manual-audit")
    assert [line["name"] for line in report["checks"]] == [check.name for check in CHECKS]
    found = next(each for each in report["findings"] if each["check"] == "balance row")
    assert (found["expected"], found["measured"], found["difference"]) == ("100013.5", "100012.5", "-1")
    assert report["seal"]["sha256"] == body_sha256(report)
    assert not report["counted"]


def test_the_whole_of_clean_books_has_no_discrepancy(audit, tmp_path):
    code, lines, _ = audit("--snapshot", a_snapshot(tmp_path / "sealed"))
    assert code != FAILED
    assert any(line.startswith("Zero discrepancies in") for line in lines)


def test_a_part_is_never_more_than_inconclusive_but_can_fail(audit, tmp_path):
    code, lines, _ = audit("--snapshot", a_snapshot(tmp_path / "sealed"), "--only", "balance_row,balance_chain")
    assert code == INCONCLUSIVE
    assert [line["name"] for line in report_in(lines)["checks"]] == ["balance_row", "balance_chain"]
    code, _, _ = audit("--snapshot", a_snapshot(tmp_path / "two", broken_books()), "--only", "balance_row")
    assert code == FAILED


def test_a_changed_byte_is_named_and_nothing_is_written(audit, tmp_path):
    folder = a_snapshot(tmp_path / "sealed")
    file = folder / "orders.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    code, lines, error = audit("--snapshot", folder)
    assert (code, lines) == (INCONCLUSIVE, [])
    assert "orders.parquet has changed since it was sealed" in error
    assert list((tmp_path / "reports").iterdir()) == []


def test_a_downloaded_zip_gives_the_same_verdict(audit, tmp_path):
    folder = a_snapshot(tmp_path / "sealed", broken_books())
    with zipfile.ZipFile(tmp_path / "sealed.zip", "w") as packed:
        for file in folder.iterdir():
            packed.write(file, f"sealed/{file.name}")
    code, lines, _ = audit("--snapshot", tmp_path / "sealed.zip")
    assert code == FAILED
    assert report_in(lines)["findings"] == report_in(audit("--snapshot", folder)[1])["findings"]


def test_a_zip_that_names_files_outside_of_itself_is_refused(audit, tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as packed:
        packed.writestr("../manifest.json", "{}")
    code, _, error = audit("--snapshot", tmp_path / "bad.zip")
    assert code == INCONCLUSIVE
    assert "outside of its folder" in error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--snapshot", "/nowhere/at-all"), "holds no snapshot"),
        (("--snapshot", "x", "--ledger", "y"), "one of --target, --ledger and --snapshot"),
        (("--snapshot", "x", "--transactions", "y"), "--transactions belongs to --ledger"),
        (("--ledger", "mysql://host/db"), "mysql:// cannot be read"),
        (("--ledger", "https://project.example/rest/v1"), "needs an API key"),
        (("--ledger", "env:NO_SUCH_VARIABLE"), "names the variable NO_SUCH_VARIABLE"),
        (("--snapshot", "x", "--only", "luck"), "There is no check 'luck'"),
        (("--snapshot", "x", "--profile", "easy"), "There is no profile 'easy'"),
        (("--snapshot", "x", "--since", "yesterday"), "--since 'yesterday' is no time with a zone"),
        (("--snapshot", "x", "--since", "2026-11-22T12:00"), "no time with a zone"),
    ],
)
def test_what_cannot_start_says_what_to_give(audit, arguments, words):
    code, lines, error = audit(*arguments)
    assert (code, lines) == (NO_START, [])
    assert words in error
    assert error.count("\n") == 1


def test_a_report_that_cannot_be_written_leaves_the_verdict_as_it_is(audit, tmp_path, monkeypatch):
    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(manual_audit, "write_json", full)
    code, lines, error = audit("--snapshot", a_snapshot(tmp_path / "sealed", broken_books()))
    assert code == FAILED
    assert any("Balance event b1" in line for line in lines)
    assert "was not written (No space left on device)" in error


def test_a_folder_that_cannot_be_written_is_said_before_the_work(audit, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, error = audit("--snapshot", "x", reports_dir=tmp_path / "file" / "reports")
    assert code == NO_START
    assert "cannot be written" in error


@pytest.fixture
def ledger_url(postgres_server, tmp_path):
    url = postgres_server.create_database(f"ledger_{abs(hash(tmp_path))}")
    write_ledger(clean_books(), url)
    return url


def statement(tmp_path):
    books = clean_books()
    records = [record | {"accountID": books.account["id"]} for record in books.transactions]
    file = tmp_path / "statement.json"
    file.write_text(json.dumps({"account": books.account, "transactions": records}))
    return file


def test_any_ledger_is_audited_and_its_snapshot_stays_beside_the_report(audit, ledger_url, tmp_path):
    code, lines, error = audit("--ledger", ledger_url, "--transactions", statement(tmp_path))
    assert code != FAILED, error
    first = report_in(lines)
    (folder,) = (tmp_path / "reports").glob("*.snapshot")
    _, lines, _ = audit("--snapshot", folder)
    again = report_in(lines)
    facts = ("name", "verdict", "rows", "findings")
    assert [[line[name] for name in facts] for line in again["checks"]] == [
        [line[name] for name in facts] for line in first["checks"]
    ]
    assert again["snapshot"] == first["snapshot"]


def test_a_ledger_without_a_statement_is_never_passed(audit, ledger_url):
    code, lines, _ = audit("--ledger", ledger_url)
    assert code == INCONCLUSIVE
    assert report_in(lines)["snapshot"]["broker"] == ""


@pytest.mark.parametrize("relation", [relation.name for relation in RELATIONS])
def test_a_missing_relation_is_named_and_the_others_are_judged(audit, ledger_url, relation):
    with psycopg.connect(ledger_url, autocommit=True) as database:
        database.execute(f"DROP TABLE wartest.{relation}")
    code, lines, _ = audit("--ledger", ledger_url)
    assert code == INCONCLUSIVE
    report = json.loads(Path(lines[-1]).read_text())
    lacking = [check for check in report["checks"] if relation in check.get("reason", "")]
    assert {check["verdict"] for check in lacking} == {"inconclusive"}
    assert "passed" in {check["verdict"] for check in report["checks"]}


def test_a_ledger_that_nobody_answers_for_is_no_start(audit, tmp_path):
    code, _, error = audit("--ledger", "postgresql://someone:secret@127.0.0.1:1/books")
    assert code == NO_START
    assert "127.0.0.1:1" in error
    assert "secret" not in error
    assert list((tmp_path / "reports").iterdir()) == []


def test_a_statement_that_is_no_json_is_named(audit, ledger_url, tmp_path):
    (tmp_path / "statement.json").write_text("<html>")
    code, _, error = audit("--ledger", ledger_url, "--transactions", tmp_path / "statement.json")
    assert code == NO_START
    assert "statement.json" in error
    assert list((tmp_path / "reports").iterdir()) == []


@pytest.mark.django_db(transaction=True)
def test_a_target_is_audited_through_the_portals_rows(audit, postgres_server, settings, tmp_path, monkeypatch):
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(
        update={"wartest_home": tmp_path, "reports_dir": tmp_path / "portal"}
    )
    monkeypatch.setattr(manual_audit, "background_stack", nullcontext)
    place = connection.settings_dict
    where = f"{place['USER']}:{place['PASSWORD']}@{place['HOST']}:{place['PORT']}/{place['NAME']}"
    monkeypatch.setenv("DATABASE_URL", f"postgresql://{where}")
    monkeypatch.setenv("WARTEST_HOME", str(tmp_path))
    ended = threading.Event()

    def ticking():
        while not ended.wait(0.1):
            starting.attend(timezone.now())
            for run in Run.objects.filter(state="running"):
                commands.close_run(run.pk, timezone.now())
            for run_id in reports.missing():
                reports.write(run_id, timezone.now())
        connection.close()

    with auditable(broken_books(), postgres_server):
        ticks = threading.Thread(target=ticking)
        ticks.start()
        try:
            code, lines, error = audit("--target", "fx-desk", "--profile", "smoke")
        finally:
            ended.set()
            ticks.join()
    assert code == FAILED, error
    report = report_in(lines)
    assert (report["run"], report["target"]["name"]) == (Run.objects.get().pk, "fx-desk")
    assert "No campaign of fx-desk" in report["not_counted_because"]
    assert report["snapshot"]["manifest_sha256"] == Run.objects.get().audit.manifest_sha256


@pytest.mark.django_db
def test_an_unknown_target_is_named_with_those_that_there_are(audit, monkeypatch):
    monkeypatch.setattr(manual_audit, "background_stack", nullcontext)
    code, _, error = audit("--target", "moon")
    assert code == NO_START
    assert "There is no target 'moon'" in error
