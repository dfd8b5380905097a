import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.db import IntegrityError, transaction

from audits.findings import Finding, Level
from audits.verdicts import Verdict
from gates import commands, engine, report_fields, reports
from gates.checks.outcome import Outcome
from gates.evidence import files
from gates.evidence.index import read_index
from gates.evidence.places import INDEX
from gates.evidence.sealing import body_sha256
from gates.models import Campaign, Report, Run, RunEvent
from tests.gates.cast import START, a_run
from tests.gates.test_engine import LATER, PASSED, at_once, fill

SECTION_11 = {
    *("schema", "kind", "verdict", "profile", "target", "campaign", "run", "planned", "measured", "criteria"),
    *("findings", "slots", "alerts", "interventions", "evidence", "seal"),
}


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"reports_dir": tmp_path / "reports"})
    return tmp_path / "reports"


def closed_run(outcome=PASSED):
    run = a_run()
    fill(run, outcome)
    assert commands.close_run(run.pk, LATER)
    return Run.objects.get(pk=run.pk)


def wrong(number, difference):
    return Finding("balance total", Level.CRITICAL, f"Wrong {number}.", "100.00", "99.63", difference, {"event": "4"})


@pytest.mark.django_db
def test_a_runs_report_has_every_field_and_is_valid_and_sealed(folder):
    report = reports.write(closed_run().pk, LATER)
    content = json.loads((folder / "72-hour-test-20260301T130000Z.json").read_text())
    assert content == report.content
    assert content.keys() == SECTION_11
    assert content["seal"]["sha256"] == body_sha256(content)
    assert content["slots"] == {"planned": 22, "passed": 22, "failed": 0, "inconclusive": 0, "holes": 0}
    assert content["measured"]["duration_s"] == 3600
    described = json.loads(files.SCHEMA_FILE.read_text())["properties"]
    assert list(content) == [name for name in described if name in content], "in the order of the schema"


@pytest.mark.django_db
def test_findings_are_grouped_with_first_worst_and_last_and_all_are_counted(monkeypatch):
    monkeypatch.setattr(report_fields, "FINDINGS_LIMIT", 2)
    found = (wrong(1, "-0.10"), wrong(2, "-0.37"), wrong(3, "0.01"))
    run = closed_run(Outcome(Verdict.FAILED, "Wrong 1.", findings=found))
    RunEvent.objects.create(run=run, at=START, kind="intervention", sentence="Somebody restarted the desk.")
    content = reports.write(run.pk, LATER).content
    (group,) = content["findings"]
    assert group["count"] == 3 * run.slots.count()
    assert (group["first"], group["worst"], group["last"]) == ("Wrong 1.", "Wrong 2.", "Wrong 3.")
    assert (group["expected"], group["measured"], group["difference"]) == ("100.00", "99.63", "-0.37")
    assert content["interventions"][0]["sentence"] == "Somebody restarted the desk."
    assert content["alerts"][0]["deadline_at"] == content["alerts"][0]["raised_at"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("break_it", "field"),
    [
        (lambda body: body.pop("criteria"), "criteria"),
        (lambda body: body.update(criteria=[]), "criteria"),
        (lambda body: body.update(verdict="good"), "verdict"),
        (lambda body: body["findings"][0].update(difference=-0.37), "difference"),
        (lambda body: body["planned"].update(start="2026-03-01T12:00:00"), "start"),
        (lambda body: body["slots"].update(planned="20"), "planned"),
        (lambda body: body.update(kind="chaos-test"), "scenarios"),
        (lambda body: body["seal"].pop("previous"), "previous"),
    ],
)
def test_what_the_schema_does_not_promise_is_refused_by_field(break_it, field):
    body = reports.write(closed_run(Outcome(Verdict.FAILED, findings=(wrong(1, "1"),))).pk, LATER).content
    reports.demand_valid(body)
    break_it(body)
    with pytest.raises(reports.ReportInvalidError, match=field):
        reports.demand_valid(body)


@pytest.mark.django_db
def test_runs_that_close_in_the_same_second_keep_a_file_each(folder):
    first, second = (reports.write(closed_run().pk, LATER + timedelta(milliseconds=n)) for n in range(2))
    assert second.file_name == f"72-hour-test-20260301T130000Z-run-{second.run_id}.json"
    assert {path.name for path in folder.iterdir()} - {INDEX} == {first.file_name, second.file_name}
    reports.write(first.run_id, LATER)
    assert json.loads((folder / first.file_name).read_text())["run"] == first.run_id


@pytest.mark.django_db
def test_a_report_never_overwrites_another_file_of_its_name(folder):
    folder.mkdir()
    other = folder / "72-hour-test-20260301T130000Z.json"
    other.write_text("of another portal")
    report = reports.write(closed_run().pk, LATER)
    assert other.read_text() == "of another portal"
    kept = folder / f"72-hour-test-20260301T130000Z-{report.sha256[:8]}.json"
    assert json.loads(kept.read_text()) == report.content
    assert reports.write_file(report, folder) == kept


@pytest.mark.django_db(transaction=True)
def test_reports_written_at_once_form_one_chain(folder):
    runs = [closed_run().pk for _ in range(6)]
    at_once(12, lambda number: reports.write(runs[number % 6], LATER))
    chain = list(Report.objects.order_by("pk").values_list("sha256", "content__seal__previous"))
    assert [previous for _, previous in chain] == [None, *(sha256 for sha256, _ in chain[:-1])]
    assert len(chain) == len({path.name for path in folder.iterdir()} - {INDEX}) == 6
    assert [link.file is not None for link in read_index((folder / INDEX).read_bytes()).links] == [True] * 6


@pytest.mark.django_db
def test_two_reports_cannot_name_the_same_one_before_even_by_sql():
    report = reports.write(closed_run().pk, LATER)
    twin = {"run": closed_run(), "kind": report.kind, "verdict": report.verdict, "content": report.content}
    with pytest.raises(IntegrityError, match="one_report_follows_another"), transaction.atomic():
        Report.objects.create(
            **twin, campaign=report.campaign, sha256=report.sha256, file_name="another.json", created_at=LATER
        )


@pytest.mark.django_db
def test_an_interrupted_write_leaves_no_file_of_that_name(folder, monkeypatch):
    run = closed_run()

    def full(number):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "os", SimpleNamespace(fsync=full))
        with pytest.raises(OSError, match="No space"):
            reports.write(run.pk, LATER)
    assert not [path for path in folder.iterdir() if path.suffix == ".json"]
    assert Path(reports.write_file(Report.objects.get(run=run), folder)).exists()


@pytest.mark.django_db
def test_a_verdict_of_a_campaign_is_its_runs():
    run = closed_run(Outcome(Verdict.FAILED))
    assert Campaign.objects.get(pk=run.campaign_id).verdict == Verdict.FAILED
    assert engine.finished_runs().count() == 0
