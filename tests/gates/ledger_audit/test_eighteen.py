"""Each of the eighteen checks fails on books broken for it: in the terminal, in the report and on the audit's page."""

import json
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from audits.checks import CHECKS
from audits.snapshot import take_snapshot
from gates.ledger_audit.commands import Asked, start_audit
from gates.ledger_audit.filling import snapshot_folder
from gates.models import Target
from tests.audits.books import NOON, BooksBroker, clean_books
from tests.audits.checks.broken_books import BROKEN
from tests.gates.ledger_audit.auditable import work

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home", "one_connection")]

NOWHERE = "http://127.0.0.1:1"
SPEC = {
    "ledger": {"url": "postgresql://nobody@127.0.0.1:1/nothing", "schema": "wartest"},
    "broker": {"kind": "oanda", "url": NOWHERE, "account": "a", "token": "t"},
    "process": {"kind": "command", "health": NOWHERE},
}
FIRST_BREAK = {name: (rule, breaks) for name, rule, breaks, *_ in reversed(BROKEN)}


def broken_snapshot(name, folder):
    """Seal books that are broken for this check; returns the rule that is broken and the snapshot."""
    rule, breaks = FIRST_BREAK[name]
    books = clean_books()
    breaks(books)
    return rule, take_snapshot(books, BooksBroker(books), folder, tie_limit_s=0, with_prices=True)


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_a_check_fails_in_the_terminal_on_books_broken_for_it(name, tmp_path, capsys):
    rule, _ = broken_snapshot(name, tmp_path / "sealed")
    with pytest.raises(SystemExit) as ended:
        call_command("run_manual_audit", "--snapshot", str(tmp_path / "sealed"), "--reports-dir", str(tmp_path / "out"))
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 1
    title = next(check.title for check in CHECKS if check.name == name)
    assert any(title in line and "■ failed" in line for line in lines)
    report = json.loads(Path(lines[-1]).read_text())
    found = next(group for group in report["findings"] if (group["of"], group["check"]) == (name, rule))
    assert found["sentence"]
    assert next(line for line in report["criteria"] if line["name"] == "zero discrepancies")["verdict"] == "failed"


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_a_check_fails_on_the_page_on_books_broken_for_it(name, client, settings):
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    client.force_login(User.objects.create_user("risk officer"))
    target = Target.objects.create(name="fx-desk", spec=SPEC, created_at=NOON)
    run = start_audit(Asked(target, "smoke"), started_by=None, now=timezone.now())
    rule, _ = broken_snapshot(name, snapshot_folder(run.pk))
    run = work(run)
    assert run.verdict == "failed"
    page = client.get(run.get_absolute_url()).content.decode()
    row = next(part for part in page.split("<tr>") if reverse("gates:slot", args=[_slot(run, name).pk]) in part)
    assert "failed" in row
    assert rule.capitalize().replace("_", " ")[1:] in page
    finding = _slot(run, name).findings.filter(rule=rule).first()
    assert client.get(reverse("gates:around_json", args=[finding.pk])).json()["trouble"] == ""


def _slot(run, name):
    return run.slots.get(check_name=name)
