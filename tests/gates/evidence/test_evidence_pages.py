import io
import json
import shutil
import sys
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.template.loader import render_to_string
from django.urls import reverse

from audits.verdicts import Verdict
from gates import reports
from gates.campaigns.commands import stop
from gates.campaigns.reporting import report_of, unreported
from gates.checks.outcome import Outcome
from gates.evidence import looking, pdf
from gates.evidence.cover import verdict_of
from gates.evidence.keeping import run_folder
from gates.evidence.places import INDEX, StateFolder, open_place
from gates.evidence.rotating import rotate_key
from gates.evidence.signing import portal_key
from gates.evidence.verifying import Known, verify
from gates.models import Campaign, Report, Verification
from tests.gates.signoff.deciding import NOW, WORDS, a_decision
from tests.gates.test_engine import LATER, at_once
from tests.gates.test_reports import closed_run, wrong

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture(autouse=True)
def plain_static_files(settings):
    static = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": static}


@pytest.fixture
def browser(client):
    client.force_login(User.objects.create_user("auditor"))
    return client


@pytest.fixture
def report():
    return reports.write(closed_run(Outcome(Verdict.FAILED, "Wrong.", findings=(wrong(1, "-0.10"),))).pk, LATER)


def place(name, *arguments):
    return reverse(f"gates:{name}", args=arguments)


def tampered(report, **fields):
    """Change a report as somebody could who owns the database."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE gates_report DISABLE TRIGGER USER")
        cursor.execute("UPDATE gates_report SET content = content || %s WHERE id = %s", [json.dumps(fields), report.pk])
        cursor.execute("ALTER TABLE gates_report ENABLE TRIGGER USER")


def test_a_stranger_sees_and_gets_nothing(client, report):
    for name, *arguments in (
        ("evidence",),
        ("evidence_json",),
        ("campaign_evidence", report.campaign_id),
        ("evidence_zip", report.campaign_id),
        ("report_pdf", report.pk),
    ):
        answer = client.get(place(name, *arguments))
        assert answer.status_code == 302
        assert "login" in answer.url
    assert client.post(place("verify_all")).status_code == 302
    assert not Verification.objects.exists()


def test_an_empty_chain_says_what_will_come(browser):
    text = browser.get(place("evidence")).content.decode()
    assert "No report yet." in text
    assert "the portal makes it with its first report" in text
    assert browser.post(place("verify_all")).status_code == 302
    assert Verification.objects.get().verdict == "inconclusive", "nothing was looked at"


def test_the_chain_is_shown_with_its_key_and_a_twin(browser, report):
    unsigned = browser.get(place("evidence")).content.decode()
    assert report.file_name in unsigned
    assert portal_key().public.fingerprint in unsigned
    twin = browser.get(place("evidence_json")).json()
    (link,) = twin["links"]
    assert (link["sha256"], link["signed_by"], twin["key"]) == (report.sha256, twin["key"], link["signed_by"])
    assert twin["look"] is None


def test_verify_now_is_asked_for_by_post_and_kept_with_its_time(browser, report):
    assert browser.get(place("verify_all")).status_code == 405
    browser.post(place("verify_all"))
    browser.post(place("verify_campaign", report.campaign_id))
    of_all, of_campaign = Verification.objects.order_by("pk")
    for look in (of_all, of_campaign):
        assert (look.verdict, look.wrong, look.unjudged) == ("passed", [], [])
        assert look.by.username == "auditor"
        assert look.counts["reports"] == 1
    assert of_campaign.counts["kept files"] == 3
    text = browser.get(place("campaign_evidence", report.campaign_id)).content.decode()
    assert "verified" in text
    assert "for auditor" in text
    assert browser.get(place("campaign_evidence_json", report.campaign_id)).json()["look"]["verdict"] == "passed"


def test_a_report_changed_in_the_database_is_named(browser, report):
    tampered(report, verdict="passed")
    browser.post(place("verify_all"))
    browser.post(place("verify_campaign", report.campaign_id))
    of_all, of_campaign = Verification.objects.order_by("pk")
    assert f"{report.file_name} has changed in the database: it is not what was sealed." in of_all.wrong
    assert any(report.file_name in sentence for sentence in of_campaign.wrong)
    text = browser.get(place("evidence")).content.decode()
    assert "What is wrong" in text


def test_a_verdict_changed_beside_its_report_is_named(browser, report):
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE gates_report DISABLE TRIGGER USER")
        cursor.execute("UPDATE gates_report SET verdict = 'passed' WHERE id = %s", [report.pk])
        cursor.execute("ALTER TABLE gates_report ENABLE TRIGGER USER")
    browser.post(place("verify_all"))
    browser.post(place("verify_campaign", report.campaign_id))
    of_all, of_campaign = Verification.objects.order_by("pk")
    assert any("has changed in the database" in sentence for sentence in of_all.wrong)
    assert f"reports/{report.file_name} is not the report that the chain has in its place." in of_campaign.wrong


def test_a_kept_file_changed_or_gone_is_named(browser, report):
    folder = run_folder(report.run_id)
    (folder / "log.jsonl").write_text("{}\n")
    (folder / "slots.jsonl").unlink()
    browser.post(place("verify_campaign", report.campaign_id))
    look = Verification.objects.get()
    name = f"evidence/run-{report.run_id}"
    assert look.wrong == [f"{name}/log.jsonl has changed: its SHA-256 is not the one in evidence.json."]
    assert look.unjudged[0].startswith(f"{name}/slots.jsonl is not part of the evidence: it had gone")
    text = browser.get(place("campaign_evidence", report.campaign_id)).content.decode()
    assert text.count("gone</strong>") == 1


def test_a_report_removed_from_the_folder_is_named(browser, report, settings):
    (Path(settings.ENVIRONMENT.reports_dir) / report.file_name).unlink()
    browser.post(place("verify_all"))
    (sentence,) = Verification.objects.get().wrong
    assert sentence == f"In the folder of reports: {report.file_name} is missing: it was removed."


@pytest.fixture
def put_back(report, settings):
    """A newer report, and the list from before it; return the folder and the newer report."""
    folder = Path(settings.ENVIRONMENT.reports_dir)
    older = (folder / INDEX).read_bytes()
    newer = reports.write(closed_run(Outcome(Verdict.FAILED)).pk, LATER)
    assert looked().verdict == "passed"
    (folder / INDEX).write_bytes(older)
    return folder, newer


def looked(after=timedelta(hours=1)):
    return looking.look(None, by=None, now=LATER + after)


def test_a_report_removed_together_with_the_newer_list_is_named(put_back, home):
    folder, newer = put_back
    (folder / newer.file_name).unlink()
    command = verify(open_place(folder), Known(frozenset({portal_key().public.fingerprint}), home=StateFolder(home)))
    assert command.verdict == "passed", "offline nobody knows that there was another"
    assert looked().wrong == [f"In the folder of reports: {newer.file_name} is missing: it was removed."]
    assert looked(timedelta(seconds=30)).verdict == "passed", "a report may just be on its way to the disk"


def test_an_older_list_put_in_the_place_of_the_newest_is_named(put_back):
    _, newer = put_back
    said = f"{newer.file_name} is not listed in evidence.json: an older list was put in its place."
    assert f"In the folder of reports: {said}" in looked().wrong


def test_a_report_removed_together_with_the_list_is_named(put_back):
    folder, newer = put_back
    (folder / INDEX).unlink()
    (folder / newer.file_name).unlink()
    found = looked()
    assert found.verdict == "failed"
    assert found.wrong == [
        "In the folder of reports: evidence.json is missing: it was removed.",
        f"In the folder of reports: {newer.file_name} is missing: it was removed.",
    ]


def test_what_takes_too_long_is_said_and_is_no_pass(browser, report, monkeypatch):
    monkeypatch.setattr(looking, "LIMIT_S", -1.0)
    for address in (place("verify_all"), place("verify_campaign", report.campaign_id)):
        browser.post(address)
    assert [look.verdict for look in Verification.objects.all()] == ["inconclusive"] * 2
    assert all("time limit was over" in look.unjudged[0] for look in Verification.objects.all())


def test_looks_are_append_only_even_by_sql(browser, report):
    browser.post(place("verify_all"))
    with pytest.raises(DatabaseError, match="Cannot update or delete"), transaction.atomic():
        Verification.objects.update(verdict="passed")


def test_the_key_that_went_is_said_and_nothing_is_downloaded(browser, report, home):
    shutil.rmtree(home / "keys")
    text = browser.get(place("evidence")).content.decode()
    assert "is missing: bring it back from your backup" in text
    answer = browser.get(place("evidence_zip", report.campaign_id), follow=True)
    assert answer["Content-Type"].startswith("text/html")
    assert "is missing: bring it back from your backup" in answer.content.decode()
    assert not (home / "keys").exists()


def test_download_evidence_is_one_zip_that_verifies(browser, report, tmp_path):
    answer = browser.get(place("evidence_zip", report.campaign_id))
    assert answer["Content-Type"] == "application/zip"
    content = answer.getvalue()
    (tmp_path / "x.zip").write_bytes(content)
    found = verify(open_place(tmp_path / "x.zip"), Known(frozenset({portal_key().public.fingerprint})))
    assert (found.verdict, found.wrong) == ("passed", [])
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        cover = packed.read(f"wartest-evidence-campaign-{report.campaign_id}/index.html").decode()
        assert not [name for name in packed.namelist() if "signing-key" in name]
    assert "<script" not in cover
    assert "http" not in cover
    assert "Wrong 1." in cover
    assert browser.get(place("evidence_zip", report.campaign_id + 1)).status_code == 404


def cover_of(browser, campaign):
    with zipfile.ZipFile(io.BytesIO(browser.get(place("evidence_zip", campaign.pk)).getvalue())) as packed:
        folder = f"wartest-evidence-campaign-{campaign.pk}"
        return packed.read(f"{folder}/index.html").decode(), packed.read(f"{folder}/README.txt").decode()


def verdict_on(page):
    return page.split('class="now ')[1].split('"')[0]


def test_the_cover_of_a_campaign_that_was_stopped_after_its_success_says_so(browser):
    decided = a_decision()
    campaign = decided.campaign
    decided.sign("ben")
    page, readme = cover_of(browser, campaign)
    assert verdict_on(page) == "passed"
    assert f"Verdict passed; the campaign is {campaign.state}\n" in readme
    assert WORDS in page
    stop(campaign.pk, "The account was emptied.", verdict=Verdict.FAILED, now=NOW)
    page, readme = cover_of(browser, campaign)
    assert verdict_on(page) == "failed"
    assert "the campaign was stopped: The account was emptied." in page
    assert "<strong>approved, void</strong>" in page
    assert "Verdict failed; the campaign is stopped: The account was emptied.\n" in readme


def test_a_campaign_that_was_stopped_after_its_success_is_reported_once_more():
    campaign = a_decision().campaign
    assert unreported() == []
    stop(campaign.pk, "The account was emptied.", verdict=Verdict.INCONCLUSIVE, now=NOW)
    assert unreported() == [campaign.pk]
    again = reports.write_campaign(campaign.pk, NOW)
    assert (again.kind, again.verdict) == ("phase-7-failure", "inconclusive")
    assert again.content["criteria"][-1]["reason"] == "The account was emptied."
    assert report_of(campaign.pk) == again
    assert unreported() == []


@pytest.mark.parametrize(
    ("gates", "expected"),
    [
        ([(None, "passed"), (4, "passed")], "passed"),
        ([(None, "passed"), (4, "failed")], "failed"),
        ([(None, "passed"), (4, "failed"), (4, "passed")], "failed"),
        ([(None, "passed"), (4, "inconclusive"), (4, "passed")], "passed"),
        ([(None, "passed"), (4, "passed"), (4, "inconclusive")], "inconclusive"),
        ([(None, "passed"), (None, "inconclusive")], "inconclusive"),
        ([(1, "passed")], "inconclusive"),
        ([(1, "failed")], "failed"),
        ([], "inconclusive"),
    ],
)
def test_the_cover_says_the_worst_of_what_decides(gates, expected):
    summaries = [
        {"gate": gate, "run": gate and number, "verdict": verdict} for number, (gate, verdict) in enumerate(gates, 1)
    ]
    assert verdict_of(Campaign(state="live"), summaries) == expected


def test_the_campaigns_page_has_a_summary_of_it(report):
    text = render_to_string("gates/_evidence_summary.html", {"campaign": report.campaign})
    assert "nobody has verified it yet" in text
    assert place("evidence_zip", report.campaign_id) in text


def test_a_report_of_a_change_of_key_has_a_page(browser, report):
    rotation = rotate_key("Yearly.", lost=False, now=LATER)
    rotation = Report.objects.get(pk=rotation.pk)
    text = browser.get(rotation.get_absolute_url()).content.decode()
    assert "Yearly." in text
    assert rotation.content["to"]["fingerprint"] in text
    assert browser.get(place("sealed_json", rotation.pk)).json() == rotation.content


def test_a_report_is_a_pdf_where_weasyprint_is_installed(browser, report):
    answer = browser.get(place("report_pdf", report.pk))
    assert answer["Content-Type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-")
    assert len(answer.content) > 5000


def test_without_weasyprint_the_page_says_what_to_install(browser, report, monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    text = browser.get(place("report_pdf", report.pk), follow=True).content.decode()
    assert "PDF needs WeasyPrint: install it by `uv sync --extra pdf`, or print the page." in text


def test_a_report_in_pdf_fetches_nothing():
    with pytest.raises(ValueError, match="nothing from elsewhere"):
        pdf._no_fetching("file:///etc/passwd")


@pytest.mark.django_db(transaction=True)
def test_of_two_looks_at_once_one_waits_for_nobody(report, home):
    def look(number):
        try:
            return looking.look(None, by=None, now=LATER).verdict
        except looking.LookGoingOnError as error:
            return str(error)

    found = at_once(4, look)
    assert "passed" in found
    assert set(found) <= {"passed", "A look at the evidence is going on: wait for its result."}
