"""The pages of gate 3: who may start an audit, what is shown of it, and what is said when the snapshot is not whole."""

import io
import json
import shutil
import zipfile

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django.utils import timezone

from audits.snapshot import load_snapshot
from gates import reports, roles
from gates.ledger_audit.plans import audit_plan_for
from gates.models import Run
from tests.gates.ledger_audit.auditable import BUILD, claimed, started, work
from tests.gates.ledger_audit.test_audit_run import through_gates

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home", "one_connection")]


@pytest.fixture(autouse=True)
def plain_static(settings):
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


@pytest.fixture
def engineer(client):
    """Sign in somebody who may start runs."""
    roles.make_groups()
    user = User.objects.create_user("engineer")
    user.groups.add(Group.objects.get(name="engineer"))
    client.force_login(user)
    return client


@pytest.fixture
def stranger(client):
    client.force_login(User.objects.create_user("stranger"))
    return client


@pytest.fixture
def broken(desk):
    """An audit that failed: one balance event does not add up."""
    desk.sql("UPDATE wartest.balance_events SET amount = amount + 0.0001 WHERE sequence = 1")
    return work(started(desk))


def text(client, name, *args, **query):
    answer = client.get(reverse(f"gates:{name}", args=args), query)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def twin(client, name, *args, **query):
    return json.loads(text(client, f"{name}_json", *args, **query))


def test_every_page_asks_who_you_are(client, broken):
    finding = broken.findings.first()
    addresses = [
        reverse("gates:audits"),
        reverse("gates:compare_audits"),
        *(reverse(f"gates:{name}", args=[broken.pk]) for name in ("run", "run_json", "live", "snapshot")),
        *(reverse(f"gates:{name}", args=[finding.pk]) for name in ("around", "around_json")),
    ]
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code == 302, address
        assert answer["Location"].startswith(reverse("account_login"))
    assert client.post(reverse("gates:start_audit")).status_code == 302
    assert Run.objects.count() == 1


def test_an_engineer_starts_an_audit_and_sees_it(engineer, desk):
    through_gates(desk.target, 1, 2)
    assert "Start an audit" in text(engineer, "audits")
    answer = engineer.post(reverse("gates:start_audit"), {"target": "fx-desk", "profile": "smoke"})
    run = Run.objects.get(gate=3)
    assert answer["Location"] == run.get_absolute_url()
    assert run.audit.started_by.get_username() == "engineer"
    page = text(engineer, "run", run.pk)
    assert f"0 of {len(audit_plan_for('smoke').checks)} checks judged" in page
    assert 'hx-trigger="every 2s' in page


def test_who_may_not_start_runs_is_offered_no_button_and_refused(stranger, desk):
    assert "Start an audit</button>" not in text(stranger, "audits")
    answer = stranger.post(reverse("gates:start_audit"), {"target": "fx-desk", "profile": "smoke"})
    assert answer.status_code == 403
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"target": "moon", "profile": "smoke"}, "no such target"),
        ({"target": "fx-desk", "profile": "easy"}, "no profile"),
        ({}, "no such target"),
    ],
)
def test_a_form_that_makes_no_sense_is_answered_in_words(engineer, desk, asked, words):
    answer = engineer.post(reverse("gates:start_audit"), asked, follow=True)
    assert words in answer.content.decode()
    assert not Run.objects.exists()


def test_an_audit_is_not_started_by_a_link(engineer, desk):
    assert engineer.get(reverse("gates:start_audit"), {"target": "fx-desk", "profile": "smoke"}).status_code == 405


def test_a_failed_audit_shows_what_was_expected_measured_and_the_difference(stranger, broken):
    page = text(stranger, "run", broken.pk)
    for words in ("Balance row", "100012.5001", "-0.0001", "Not counted as gate 3", "sealed"):
        assert words in page
    assert "hx-trigger" not in page
    found = twin(stranger, "run", broken.pk)
    assert found["totals"]["failed"] == sum(check["status"] == "failed" for check in found["checks"])
    row = next(group for group in found["findings"] if group["rule"] == "balance row")
    assert row["rows"]["worst"] == broken.findings.get(rule="balance row").pk
    assert found["criteria"][0]["name"] == "balance equation"
    assert found["snapshot"]["manifest_sha256"] == broken.audit.manifest_sha256


def test_a_clean_audit_says_so_proudly(stranger, desk):
    run = work(started(desk))
    totals = twin(stranger, "run", run.pk)["totals"]
    assert totals["findings"] == 0
    assert f"<strong>Zero discrepancies</strong> in {totals['rows']:,} rows" in text(stranger, "run", run.pk)


def test_the_live_part_is_silent_until_something_moves(stranger, desk):
    run = started(desk)
    run.refresh_from_db()
    address = reverse("gates:live", args=[run.pk])
    assert stranger.get(address, {"since": run.cursor}).status_code == 204
    claimed(run)
    answer = stranger.get(address, {"since": run.cursor - 1})
    assert answer.status_code == 200
    assert "<html" not in answer.content.decode()


def test_from_a_finding_to_the_rows_around_it(stranger, broken):
    finding = broken.findings.get(rule="balance row")
    page = text(stranger, "finding", finding.pk)
    assert reverse("gates:around", args=[finding.pk]) in page
    around = {each["relation"]: each for each in twin(stranger, "around", finding.pk)["around"]}
    rows = around["balance_events"]["rows"]
    assert [row["event_id"] for row in rows] == ["b1", "b2"]
    assert around["balance_events"]["named"] == [0]
    assert "b2" in text(stranger, "around", finding.pk)


def test_a_missing_or_changed_snapshot_is_said_and_never_sent(stranger, broken, home):
    folder = home / "snapshots" / f"run-{broken.pk}"
    finding = broken.findings.get(rule="balance row")
    file = folder / "balance_events.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "has changed since it was sealed" in twin(stranger, "around", finding.pk)["trouble"]
    answer = stranger.get(reverse("gates:snapshot", args=[broken.pk]), follow=True)
    assert "has changed since it was sealed" in answer.content.decode()
    (folder / "manifest.json").write_text((folder / "manifest.json").read_text() + " ")
    assert "is not the one that was sealed" in text(stranger, "run", broken.pk)
    shutil.rmtree(folder)
    assert "holds no snapshot" in text(stranger, "run", broken.pk)
    assert "holds no snapshot" in text(stranger, "around", finding.pk)


def test_a_downloaded_snapshot_is_the_sealed_one(stranger, broken, tmp_path):
    answer = stranger.get(reverse("gates:snapshot", args=[broken.pk]))
    assert answer["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as packed:
        assert packed.testzip() is None
        packed.extractall(tmp_path / "got")
    (folder,) = (tmp_path / "got").iterdir()
    assert load_snapshot(folder).manifest_sha256 == broken.audit.manifest_sha256


def test_two_audits_are_compared_by_what_came_went_and_stayed(stranger, desk):
    desk.sql("UPDATE wartest.balance_events SET amount = amount + 1 WHERE sequence = 1")
    before = work(started(desk))
    desk.sql("UPDATE wartest.balance_events SET amount = amount - 1 WHERE sequence = 1")
    desk.sql("UPDATE wartest.balance_events SET amount = amount + 2 WHERE sequence = 2")
    after = work(started(desk))
    lines = {
        line["check"]: line for line in twin(stranger, "compare_audits", before=before.pk, after=after.pk)["checks"]
    }
    row = lines["balance_row"]
    assert [len(row[name]) for name in ("came", "went", "stayed")] == [1, 1, 0]
    assert [len(lines["balance_total"][name]) for name in ("came", "went", "stayed")] == [0, 0, 1]
    page = text(stranger, "compare_audits", before=before.pk, after=after.pk)
    assert "came" in page
    assert "Identical" in text(stranger, "compare_audits", before=after.pk, after=after.pk)
    assert reverse("gates:compare_audits") in text(stranger, "run", after.pk)


@pytest.mark.parametrize(
    "query", [{}, {"before": "1"}, {"before": "x", "after": "y"}, {"before": "9" * 30, "after": "1"}]
)
def test_a_comparison_of_nothing_is_not_found(stranger, query):
    assert stranger.get(reverse("gates:compare_audits"), query).status_code == 404


def test_the_list_shows_each_audit_and_whether_it_counts(stranger, desk):
    assert "No audit yet" in text(stranger, "audits")
    campaign = through_gates(desk.target, 1, 2, build=BUILD)
    run = work(started(desk))
    page = text(stranger, "audits")
    assert f"as gate 3 of {campaign}" in page
    assert twin(stranger, "audits")["audits"][0]["run"] == run.pk


def test_the_slot_of_a_check_shows_its_findings(stranger, broken):
    page = text(stranger, "slot", broken.slots.get(check_name="balance_row").pk)
    assert "Rows looked at" in page
    assert "Balance event b1" in page


def test_the_report_has_the_shape_of_every_report_and_its_page_opens(stranger, broken):
    report = reports.write(broken.pk, timezone.now())
    assert report.content["kind"] == "manual-audit"
    assert report.content["checks"][0]["name"] == "balance_row"
    assert report.content["snapshot"]["manifest_sha256"] == broken.audit.manifest_sha256
    assert "Balance event b1" in text(stranger, "report", broken.pk)


def test_the_dashboard_leads_with_the_campaign_and_not_with_an_audit_out_of_its_turn(stranger, desk):
    campaign = through_gates(desk.target, 1)
    run = work(started(desk))
    assert not run.audit.counted
    gates = {step["gate"]: step for step in twin(stranger, "dashboard")["gates"]}
    assert (gates[1]["status"], gates[1]["run"]) == ("passed", campaign.runs.get().pk)
    assert (gates[3]["status"], gates[3]["run"]) == ("waiting", None)
