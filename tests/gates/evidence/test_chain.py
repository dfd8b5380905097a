import shutil
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from audits.verdicts import Verdict
from gates import commands, reports
from gates.campaigns.commands import go_live
from gates.checks.outcome import Outcome
from gates.evidence.keys import SigningKeyError, public_keys
from gates.evidence.sealing import body_sha256, signed_part
from gates.evidence.standing import evidence_sha256
from gates.models import Campaign, Finding, Report, Run
from tests.gates.cast import START, a_gate, a_passed_slot
from tests.gates.test_engine import LATER, PASSED
from tests.gates.test_reports import closed_run, wrong

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


def other_gates(run, verdicts):
    """Close a run of each further gate of the campaign with these verdicts."""
    line = {"name": "all", "required": "1", "measured": "1", "reason": "Because."}
    for gate, verdict in enumerate(verdicts, start=2):
        closed = a_gate(run.campaign, gate, verdict=None)
        if verdict == "passed":
            a_passed_slot(closed)
        Run.objects.filter(pk=closed.pk).update(
            state="closed",
            verdict=verdict,
            criteria=[line | {"verdict": verdict}],
            closed_at=closed.planned_end,
        )


@pytest.fixture
def plain_reports(monkeypatch):
    """Gates 2 and 3 of these tests have no rows of their own."""
    monkeypatch.setattr(reports, "chaos_report_fields", lambda run: {"scenarios": []})
    monkeypatch.setattr(reports, "audit_report_fields", lambda run: {})


def test_every_report_is_signed_over_its_hash_and_its_place_in_the_chain(home):
    first, second = (reports.write(closed_run().pk, LATER) for _ in range(2))
    (key,) = public_keys(home)
    for report, previous in ((first, None), (second, first.sha256)):
        seal = report.content["seal"]
        assert (seal["sha256"], seal["previous"], seal["signed_by"]) == (report.sha256, previous, key.fingerprint)
        assert body_sha256(report.content) == report.sha256
        assert key.verifies(seal["signature"], signed_part(seal))
        assert not key.verifies(seal["signature"], signed_part(seal | {"previous": "0" * 64}))
    kept = Report.objects.get(pk=second.pk)
    assert (kept.previous, kept.signed_by) == (first.sha256, key.fingerprint)
    assert kept.campaign == kept.run.campaign


def test_a_key_that_went_leaves_reports_unwritten_and_nothing_replaced(home):
    reports.write(closed_run().pk, LATER)
    shutil.rmtree(home / "keys")
    waiting = closed_run()
    with pytest.raises(SigningKeyError, match="is missing"):
        reports.write(waiting.pk, LATER)
    assert reports.missing() == [waiting.pk]
    assert not (home / "keys").exists()


@pytest.mark.usefixtures("plain_reports")
@pytest.mark.parametrize(
    ("verdicts", "kind", "verdict"),
    [
        ((), "phase-7-failure", "inconclusive"),
        (("passed",), "phase-7-failure", "inconclusive"),
        (("passed", "failed"), "phase-7-failure", "failed"),
        (("inconclusive",), "phase-7-failure", "inconclusive"),
        (("passed", "passed"), "phase-7-success", "passed"),
    ],
)
def test_a_campaigns_report_says_what_each_gate_proved(home, verdicts, kind, verdict):
    run = closed_run(PASSED)
    other_gates(run, verdicts)
    report = reports.write_campaign(run.campaign_id, LATER)
    assert report.content["criteria"][0]["measured"] == f"passed in run {run.pk}"
    assert len(report.content["criteria"]) == 3
    assert (report.kind, report.verdict) == (kind, verdict)
    assert [line["sha256"] for line in report.content["reports"]] == list(
        Report.objects.filter(run__isnull=False).order_by("pk").values_list("sha256", flat=True)
    )
    assert (home.parent / "reports" / report.file_name).exists()
    assert reports.write_campaign(run.campaign_id, LATER) == report


def test_a_report_belongs_to_a_campaign_even_by_sql():
    report = reports.write(closed_run().pk, LATER)
    with pytest.raises(IntegrityError, match="a_report_is_of_a_campaign"), transaction.atomic():
        Report.objects.create(
            kind="72-hour-test", verdict="passed", content={}, sha256="0" * 64, file_name="x.json", created_at=LATER
        )
    assert Report.objects.get() == report


def test_what_a_signature_is_bound_to_changes_with_reports_and_triage():
    run = closed_run(Outcome(Verdict.FAILED, "Wrong.", findings=(wrong(1, "-0.10"),)))
    campaign = run.campaign
    seen = [evidence_sha256(campaign)]
    reports.write(run.pk, LATER)
    seen.append(evidence_sha256(campaign))
    finding = Finding.objects.filter(run=run).first()
    Finding.objects.filter(pk=finding.pk).update(cause="A leap second.", state="explained")
    seen.append(evidence_sha256(campaign))
    campaign.build = "sha256:1"
    seen.append(evidence_sha256(campaign))
    assert len(set(seen)) == 4
    assert evidence_sha256(campaign) == seen[-1]


@pytest.mark.usefixtures("plain_reports")
def test_gate_4_is_no_part_of_the_decision_before_it():
    run = closed_run(PASSED)
    other_gates(run, ("passed", "passed"))
    reports.write_campaign(run.campaign_id, LATER)
    Campaign.objects.filter(pk=run.campaign_id).update(state="ready")
    go_live(run.campaign_id, LATER)
    before = {stage: evidence_sha256(run.campaign, stage=stage) for stage in ("capital", "next step")}
    live = Run.objects.create(
        campaign=run.campaign, gate=4, plan={}, planned_start=START, planned_end=START + timedelta(minutes=1)
    )
    Finding.objects.create(run=live, rule="x", level="high", sentence="x", found_at=LATER)
    assert evidence_sha256(run.campaign) == before["capital"]
    assert evidence_sha256(run.campaign, stage="next step") != before["next step"]
    assert commands.close_run(run.pk, LATER) is None
