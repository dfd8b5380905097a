"""A crash point repeated on both builds: only what failed on the old one and passes on the new one is a proof."""

import sys

import pytest
from django.db import DatabaseError, transaction

from audits.findings import Finding
from audits.verdicts import Verdict
from gates.chaos.messages import Point, Strike
from gates.chaos.strikes.recovery import Result
from gates.chaos.trials import Trial
from gates.detection.catalogue import catalogue, named
from gates.detection.striking import strike_until_caught
from gates.incidents import commands, proving
from gates.incidents.commands import IncidentRefusedError
from gates.incidents.prevention import PreventionError, spec_of_build
from gates.incidents.repeating import Wanted, judged
from gates.models import CrashPoint, Incident, Proof, ScenarioRun, Slot, Target
from gates.targets.rehearsal import cell_program, program_of_build
from tests.gates.cast import START
from tests.gates.incidents.cast import NEW, a_failed_campaign, an_incident, finding_ids, person
from tests.gates.rehearsal.test_planting import run_python

DEFECT = "blind-retry"


def builds_of(defect):
    """Return the build of the desk with the defect, and of the clean one."""
    program = f"""
from gates.rehearsal.defects.planting import build_with
from gates.rehearsal.desk import health
print(build_with({defect!r}), health.own_build())
"""
    code, said, trouble = run_python("-c", program)
    assert code == 0, trouble
    return said.split()


def spec_on(server, **prevention):
    """Return the description of a desk with the defect, on this server; its program by build."""
    program = cell_program((DEFECT,))
    ledger = {"url": server.url(), "schema": "wartest"}
    broker = {"url": "http://127.0.0.1:1", "account": "101-001-0000001-001", "token": "a-token"}
    process = program["process"] | {"health": "http://127.0.0.1:1/health"}
    prevention = {"program": list(program_of_build()), "limit_s": 300} | prevention
    shape = {"ledger": ledger, "broker": broker, "process": process, "operations": program["operations"]}
    return shape | {"prevention": prevention}


def a_failed_point(campaign, trial, label, findings):
    """Write down the strike at which gate 2 of this campaign is said to have failed."""
    run = campaign.runs.get()
    slot = Slot.objects.create(
        run=run,
        check_name="network_drop_during_order",
        window_start=START,
        window_end=START,
        due_at=START,
        grace_until=START,
        state="done",
        verdict="failed",
    )
    scenario = ScenarioRun.objects.create(run=run, slot=slot, name="network_drop_during_order", number=7, phase="done")
    return CrashPoint.objects.create(
        scenario=scenario,
        number=1,
        operation=trial.operation,
        point=str(trial.point),
        label=label,
        position=1,
        strike=trial.strike,
        parameters=dict(trial.parameters),
        half_open=trial.half_open,
        fault=trial.fault,
        phase="done",
        verdict="failed",
        receipt={"strike": str(trial.strike)},
        findings=findings,
    )


def waiting_for_its_test(campaign, new_build):
    """Take the campaign's incident to its prevention test."""
    commands.open_missing(START)
    incident = Incident.objects.get(campaign=campaign)
    engineer = person("engineer")
    ids = finding_ids(incident)
    commands.investigate(incident.pk, cause="It sends again.", findings=ids, person=engineer, now=START)
    commands.fix(incident.pk, words="It asks first.", build=new_build, person=engineer, now=START)
    return Incident.objects.get(pk=incident.pk)


def struck(incident, point):
    """Have the strike made on both builds, as a tick would, and return the proofs."""
    for proof in commands.ask_for_strike(incident.pk, point_id=point.pk, person=person("engineer"), now=START):
        assert proving._claim(proof, START)
        proving.prove(proof.pk)
    return list(incident.proofs.order_by("pk"))


@pytest.mark.django_db(transaction=True)
def test_a_strike_that_failed_is_made_again_on_both_builds_with_receipts(postgres_server):
    found = strike_until_caught(postgres_server.url(), named(catalogue(), DEFECT)).shown_by
    assert found is not None
    old, new = builds_of(DEFECT)
    campaign = a_failed_campaign(build=old)
    Target.objects.filter(pk=campaign.target_id).update(spec=spec_on(postgres_server))
    point = a_failed_point(campaign, found.trial, found.label, [{"rule": "exposure"}])
    incident = waiting_for_its_test(campaign, new)
    before, after = struck(incident, point)
    assert (before.build, before.verdict, after.build, after.verdict) == (old, "failed", new, "passed"), (
        before.output,
        after.output,
    )
    assert {proof.receipt["strike"] for proof in (before, after)} == {str(found.trial.strike)}
    assert "exposure" in {finding["rule"] for finding in before.findings}
    assert after.findings == []
    commands.accept_proof(incident.pk, person=person("engineer"), now=START)
    incident.refresh_from_db()
    assert incident.state == "approval"


@pytest.mark.django_db(transaction=True)
def test_a_program_that_shows_another_build_proves_nothing(postgres_server):
    found = strike_until_caught(postgres_server.url(), named(catalogue(), DEFECT)).shown_by
    clean = " ".join((sys.executable, *cell_program()["process"]["command"][1:]))
    program = ["/bin/sh", "-c", f"exec {clean}", "{build}"]
    campaign = a_failed_campaign(build=builds_of(DEFECT)[0])
    Target.objects.filter(pk=campaign.target_id).update(spec=spec_on(postgres_server, program=program))
    point = a_failed_point(campaign, found.trial, found.label, [{"rule": "exposure"}])
    incident = waiting_for_its_test(campaign, NEW)
    assert [proof.verdict for proof in struck(incident, point)] == ["inconclusive"] * 2
    assert "shows the build sha256:" in incident.proofs.first().output
    with pytest.raises(IncidentRefusedError, match="No test has failed on the old build"):
        commands.accept_proof(incident.pk, person=person("engineer"), now=START)


class Drop:
    """A trial in words."""

    fault, operation = "lose the answer", "open"


@pytest.mark.parametrize(
    ("receipt", "verdict", "rule", "wanted", "expected"),
    [
        (None, "passed", None, (), "inconclusive"),
        (None, "failed", "exposure", ("exposure",), "inconclusive"),
        ({"pid": 1}, "failed", "recovery", ("exposure",), "inconclusive"),
        ({"pid": 1}, "failed", "exposure", ("exposure", "recovery"), "failed"),
        ({"pid": 1}, "failed", "recovery", (), "failed"),
        ({"pid": 1}, "passed", None, ("exposure",), "passed"),
    ],
)
def test_without_a_receipt_or_by_another_rule_than_then_nothing_is_proven(receipt, verdict, rule, wanted, expected):
    findings = [Finding(rule, "critical", f"{rule} broke.")] if rule else []
    result = Result(Verdict(verdict), reason="", receipt=receipt, findings=findings)
    assert judged(Wanted(Drop(), "ledger: COMMIT", frozenset(wanted)), result).verdict == expected


@pytest.mark.parametrize(
    ("section", "words"),
    [(None, "add one"), ({"program": "desk {build}"}, "add one"), ({"program": ["desk"]}, "must hold {build}")],
)
def test_a_target_that_cannot_start_both_builds_is_told_what_to_write(section, words):
    with pytest.raises(PreventionError, match=words):
        spec_of_build({"prevention": section, "process": {"command": ["desk"]}}, "sha256:0")


@pytest.mark.django_db
def test_only_a_point_that_failed_in_its_own_campaign_is_repeated_and_only_with_its_receipt(postgres_server):
    incident = an_incident("prevention test", build="sha256:0")
    Target.objects.filter(pk=incident.campaign.target_id).update(spec=spec_on(postgres_server))
    trial = _kill()
    own = a_failed_point(incident.campaign, trial, "ledger: COMMIT", [])
    other = a_failed_point(a_failed_campaign(name="other-desk"), trial, "ledger: COMMIT", [])
    me = person("engineer")
    with pytest.raises(IncidentRefusedError, match="Choose a crash point at which this campaign failed"):
        commands.ask_for_strike(incident.pk, point_id=other.pk, person=me, now=START)
    with pytest.raises(IncidentRefusedError, match="names a crash point"):
        commands.ask_for_proof(incident.pk, test=f"crash-point:{own.pk}", person=me, now=START)
    shape = {"incident": incident, "build": NEW, "argv": [], "asked_at": START}
    for crash_point, test in ((other, f"crash-point:{other.pk}"), (own, "something-easier")):
        with pytest.raises(DatabaseError, match="only a crash point that failed"), transaction.atomic():
            Proof.objects.create(crash_point=crash_point, test=test, **shape)
    proofs = commands.ask_for_strike(incident.pk, point_id=own.pk, person=me, now=START)
    with pytest.raises(IncidentRefusedError, match="wait for its end"):
        commands.ask_for_strike(incident.pk, point_id=own.pk, person=me, now=START)
    mine = Proof.objects.filter(pk=proofs[0].pk)
    mine.update(state="running")
    with pytest.raises(DatabaseError, match="a_strike_without_receipt_proves_nothing"), transaction.atomic():
        mine.update(state="done", verdict="passed")


def _kill():
    return Trial("open", Point.parse("ledger:request:1:COMMIT"), Strike("kill before"))
