"""The failure protocol: step by step, each by whom and when, on evidence, and by no shortcut."""

import subprocess
import sys
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from gates.campaigns.before import Beginning, campaign_before, demand_done
from gates.campaigns.commands import CampaignRefusedError, stop
from gates.campaigns.hands import INTERVENTIONS, SURELY_HANDS
from gates.incidents import commands, proving
from gates.incidents.commands import IncidentRefusedError
from gates.incidents.prevention import PreventionError, prevention_argv
from gates.models import Campaign, Incident, IncidentFinding, Proof, RunEvent
from gates.models.incidents import IncidentChange
from gates.targets.access import access
from gates.targets.accounts import account_sha256
from tests.gates.cast import START, a_campaign, a_gate, a_run
from tests.gates.elsewhere import elsewhere
from tests.gates.incidents.cast import NEW, OLD, TEST, a_failed_campaign, an_incident, finding_ids, person, prove_both

STATES = [state.value for state in Incident.State]


@pytest.mark.django_db
def test_a_failed_campaign_opens_one_incident_and_nothing_else_does():
    failed = a_failed_campaign()
    a_campaign(name="good", passed=(1, 2, 3))
    stop(a_campaign(name="unsure", passed=(1,)).pk, "Holes.", verdict="inconclusive", now=START)
    assert commands.open_missing(START) == 1
    assert commands.open_missing(START) == 0
    assert [each.campaign for each in Incident.objects.all()] == [failed]


@pytest.mark.django_db
def test_the_whole_protocol_leads_to_a_new_campaign_and_remembers_who_took_which_step():
    incident = an_incident("approved")
    assert (incident.investigated_by.username, incident.approved_by.username) == ("engineer", "owner")
    assert dict(incident.proofs.values_list("build", "verdict")) == {OLD: "failed", NEW: "passed"}
    assert incident.proofs.first().output == f"ran {OLD} {TEST}"
    before = campaign_before(incident.campaign.target, "production")
    following = a_campaign(profile="production", previous=before, build=NEW)
    a_gate(following, 1, verdict=None)
    commands.note_restart(following)
    incident.refresh_from_db()
    assert (incident.state, incident.allows_restart) == ("restarted", True)
    kept = IncidentChange.objects.filter(pgh_obj=incident).values_list("state", flat=True)
    assert list(kept) == STATES


@pytest.mark.django_db
@pytest.mark.parametrize("at", STATES[:-1])
def test_no_step_is_skipped_or_written_over_by_sql(at):
    incident = an_incident(at)
    words = "state = %s, cause = 'x', fix = 'x', fixed_build = 'x', approval = 'x'"
    who = ", ".join(f"{step}_by_id = %s, {step}_at = now()" for step in ("investigated", "fixed", "tested", "approved"))
    me = person("owner", "another").pk
    for to in STATES:
        for change in (words, who, f"{words}, {who}", "state = %s"):
            values = [to] * change.count("state = %s") + [me] * who.count("_id = %s") * (who in change)
            with pytest.raises(DatabaseError), transaction.atomic():
                _update(change, [*values, incident.pk], harmless=to == at and change == "state = %s")
    incident.refresh_from_db()
    assert incident.state == at


def _update(change, values, *, harmless):
    if harmless:
        raise DatabaseError("the state stays what it is: nothing to refuse")
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE gates_incident SET {change} WHERE id = %s", values)


@pytest.mark.django_db
def test_incidents_ties_and_proofs_are_neither_deleted_nor_forged_by_sql():
    incident = an_incident("approval")
    statements = (
        "DELETE FROM gates_incident",
        "DELETE FROM gates_incidentfinding",
        "DELETE FROM gates_proof",
        "UPDATE gates_proof SET verdict = 'passed'",
        "UPDATE gates_incidentchange SET state = 'approved'",
        "INSERT INTO gates_proof (incident_id, test, build, argv, state, asked_at, output, verdict) "
        f"VALUES ({incident.pk}, 't', 'sha256:1', '[]', 'done', now(), '', 'passed')",
        "INSERT INTO gates_incident (campaign_id, state, opened_at, cause, fix, fixed_build, approval) "
        f"VALUES ({a_campaign(name='other').pk}, 'approved', now(), '', '', '', '')",
    )
    for statement in statements:
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


@pytest.mark.django_db
def test_a_cause_is_tied_to_findings_of_its_own_campaign():
    incident = an_incident()
    engineer = person("engineer")
    with pytest.raises(IncidentRefusedError, match="Choose the findings"):
        commands.investigate(incident.pk, cause="A race.", findings=[], person=engineer, now=START)
    with pytest.raises(IncidentRefusedError, match="Say the cause in words"):
        commands.investigate(incident.pk, cause=" ", findings=finding_ids(incident), person=engineer, now=START)
    assert not IncidentFinding.objects.exists(), "nothing half done"


@pytest.mark.django_db
@pytest.mark.parametrize(("build", "words"), [("", "does not show its build"), (OLD, "the build that failed")])
def test_a_fix_is_a_new_build_that_the_target_shows(build, words):
    incident = an_incident("fix")
    with pytest.raises(IncidentRefusedError, match=words):
        commands.fix(incident.pk, words="A lock.", build=build, person=person("engineer"), now=START)


@pytest.mark.django_db
def test_where_only_hands_failed_the_run_the_build_may_stay_and_the_test_must_pass_on_it():
    incident = an_incident("fix", rule="money moved by hand", prevention={"command": ["true", "{build}", "{test}"]})
    run = incident.campaign.runs.get()
    RunEvent.objects.create(run=run, at=START, kind="intervention", level="critical", sentence="Money moved by hand.")
    engineer = person("engineer")
    commands.fix(incident.pk, words="Nobody has the password any more.", build=OLD, person=engineer, now=START)
    with pytest.raises(IncidentRefusedError, match="No test has failed"):
        commands.accept_proof(incident.pk, person=engineer, now=START)
    prove_both(incident)
    commands.accept_proof(incident.pk, person=engineer, now=START)
    incident.refresh_from_db()
    assert incident.state == "approval"


@pytest.mark.django_db
@pytest.mark.parametrize("rule", sorted(INTERVENTIONS - SURELY_HANDS))
def test_what_the_target_may_have_done_itself_is_no_reason_to_keep_the_build(rule):
    incident = an_incident("fix", rule=rule)
    run = incident.campaign.runs.get()
    RunEvent.objects.create(run=run, at=START, kind="intervention", level="critical", sentence=f"{rule}: seen.")
    engineer = person("engineer")
    with pytest.raises(IncidentRefusedError, match="the build that failed"):
        commands.fix(incident.pk, words="It was only us.", build=OLD, person=engineer, now=START)
    with pytest.raises(DatabaseError, match="a fix is a new build"), transaction.atomic():
        Incident.objects.filter(pk=incident.pk).update(
            state="prevention test", fix="It was only us.", fixed_build=OLD, fixed_by=engineer, fixed_at=START
        )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("command", "verdicts"),
    [
        (["true", "{build}", "{test}"], {"passed"}),
        (["false", "{build}", "{test}"], {"failed"}),
        ([sys.executable, "-c", "import sys; sys.exit(2)", "{build}", "{test}"], {"inconclusive"}),
        (["/no/such/program", "{build}", "{test}"], {"inconclusive"}),
        ([sys.executable, "-c", "import time; time.sleep(30)", "{build}", "{test}"], {"inconclusive"}),
    ],
)
def test_what_does_not_fail_on_the_old_build_and_pass_on_the_new_one_proves_nothing(command, verdicts):
    incident = an_incident("prevention test", prevention={"command": command, "limit_s": 1})
    prove_both(incident)
    assert set(incident.proofs.values_list("verdict", flat=True)) == verdicts
    with pytest.raises(IncidentRefusedError, match="No test has failed on the old build"):
        commands.accept_proof(incident.pk, person=person("engineer"), now=START)


@pytest.mark.django_db
def test_a_long_output_keeps_its_end_and_a_dead_process_proves_nothing():
    words = f"print('x' * {proving.MOST_OUTPUT}); print('the end'); raise SystemExit(1)"
    incident = an_incident("prevention test", prevention={"command": [sys.executable, "-c", words, "{build}{test}"]})
    prove_both(incident)
    output = incident.proofs.first().output
    assert output.endswith("the end")
    assert len(output) <= proving.MOST_OUTPUT
    (left, _) = commands.ask_for_proof(incident.pk, test="again", person=None, now=START)
    proving._claim(Proof.objects.get(pk=left.pk), START)
    Proof.objects.filter(state="waiting").update(state="running", lease_until=START)
    proving.attend(START + timedelta(hours=2))
    assert set(Proof.objects.filter(test="again").values_list("verdict", flat=True)) == {"inconclusive"}


@pytest.mark.parametrize("test", ["", "-rf", "a b", "x;y", "../x", "$(id)", "x" * 201, "a\nb"])
def test_a_name_that_is_none_is_refused(test):
    with pytest.raises(PreventionError, match="Name the test"):
        prevention_argv({"prevention": {"command": ["t", "{build}", "{test}"]}}, build=NEW, test=test)


@pytest.mark.parametrize("section", [None, {}, {"command": "rm -rf"}, {"command": []}, {"command": ["t", "{build}"]}])
def test_a_description_without_a_command_for_both_is_refused_with_what_to_write(section):
    with pytest.raises(PreventionError, match=r"\[prevention\] command"):
        prevention_argv({"prevention": section}, build=NEW, test="t")


@pytest.mark.django_db
def test_who_fixed_it_does_not_approve_it_not_even_by_sql():
    incident = an_incident("approval")
    with pytest.raises(IncidentRefusedError, match="another person approves"):
        commands.approve_restart(incident.pk, words="Fine.", person=person("engineer"), now=START)
    with pytest.raises(DatabaseError, match="another person"), transaction.atomic():
        Incident.objects.filter(pk=incident.pk).update(
            state="approved", approval="Fine.", approved_by=person("engineer"), approved_at=START
        )


@pytest.mark.django_db
def test_an_approver_sends_it_back_and_fix_and_test_begin_anew():
    incident = an_incident("approval")
    commands.send_back(incident.pk, now=START)
    incident.refresh_from_db()
    assert (incident.state, incident.fix, incident.fixed_by, incident.tested_at) == ("fix", "", None, None)
    assert "A lock." in IncidentChange.objects.values_list("fix", flat=True), "the history keeps what was"


@pytest.mark.django_db
@pytest.mark.parametrize("at", STATES[:4])
def test_a_production_campaign_waits_for_the_approval_even_by_sql(at):
    incident = an_incident(at)
    target = incident.campaign.target
    with pytest.raises(CampaignRefusedError, match="take its incident to its approval"):
        demand_done(Beginning(target, "production", NEW), incident.campaign)
    following = a_campaign(profile="production", previous=incident.campaign, build=NEW)
    with pytest.raises(DatabaseError, match="not through its incident"), transaction.atomic():
        a_gate(following, 1, verdict=None)
    demand_done(Beginning(target, "rehearsal", OLD), None)
    assert a_gate(a_campaign(profile="rehearsal"), 1, verdict=None).is_open


@pytest.mark.django_db
def test_the_build_that_failed_never_begins_again_though_its_incident_is_approved():
    failed = an_incident("approved").campaign
    with pytest.raises(
        CampaignRefusedError, match=f"failed with this build, {OLD}: start the one that mends it, {NEW}"
    ):
        demand_done(Beginning(failed.target, "production", OLD), failed)
    again = a_campaign(profile="production", previous=failed, build=OLD)
    with pytest.raises(DatabaseError, match="its build is one that failed"), transaction.atomic():
        a_gate(again, 1, verdict=None)
    for profile, build in (("production", NEW), ("production", "sha256:2"), ("rehearsal", OLD), ("smoke", OLD)):
        demand_done(Beginning(failed.target, profile, build), failed)
        assert a_gate(a_campaign(profile=profile, build=build), 1, verdict=None).is_open


@pytest.mark.django_db
def test_a_build_that_only_hands_failed_begins_again():
    incident = an_incident("fix", rule="money moved by hand", prevention={"command": ["true", "{build}", "{test}"]})
    run = incident.campaign.runs.get()
    RunEvent.objects.create(run=run, at=START, kind="intervention", level="critical", sentence="Money moved by hand.")
    engineer = person("engineer")
    commands.fix(incident.pk, words="Nobody has the password any more.", build=OLD, person=engineer, now=START)
    prove_both(incident)
    commands.accept_proof(incident.pk, person=engineer, now=START)
    commands.approve_restart(incident.pk, words="I saw it.", person=person("owner"), now=START)
    demand_done(Beginning(incident.campaign.target, "production", OLD), incident.campaign)
    assert a_gate(a_campaign(profile="production", build=OLD), 1, verdict=None).is_open


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("at", "build", "python", "sql"),
    [
        ("fix", NEW, "take its incident to its approval", "not through its incident"),
        ("approved", OLD, "with this build", "its build is one that failed"),
    ],
)
def test_another_name_for_the_same_account_leaves_no_failure_behind(at, build, python, sql):
    failed = an_incident(at, baseline={"account": "one"}).campaign
    renamed = a_campaign(profile="production", name="fx-desk-2", build=build)
    said = f"Campaign {failed.pk} of fx-desk, on the same account of the broker, failed.*{python}"
    with pytest.raises(CampaignRefusedError, match=said):
        demand_done(Beginning(renamed.target, "production", build, account="one"), None)
    with pytest.raises(DatabaseError, match=sql), transaction.atomic():
        a_gate(renamed, 1, verdict=None, baseline={"account": "one"})
    demand_done(Beginning(renamed.target, "production", build, account="another"), None)
    assert a_gate(renamed, 1, verdict=None, baseline={"account": "another"}).is_open


@pytest.mark.parametrize(
    ("url", "account", "same"),
    [
        ("https://API.example/", "1", True),
        ("https://api.example", "2", False),
        ("https://api.example:8443", "1", False),
        ("https://api.other", "1", False),
    ],
)
def test_an_account_is_told_by_where_its_broker_is_and_its_number(monkeypatch, url, account, same):
    def print_of(url, account):
        broker = {"url": url, "account": account, "token": "t"}
        return account_sha256(access({"ledger": {"url": "postgresql://localhost/books"}, "broker": broker}))

    monkeypatch.setenv("FX_ACCOUNT", account)
    assert (print_of(url, "env:FX_ACCOUNT") == print_of("https://api.example", "1")) is same


@pytest.mark.django_db
def test_an_inconclusive_campaign_is_repeated_with_a_reason_only():
    before = a_campaign(profile="production", passed=(1,))
    stop(before.pk, "Holes.", verdict="inconclusive", now=START)
    before.refresh_from_db()
    with pytest.raises(CampaignRefusedError, match="say why it is repeated"):
        demand_done(Beginning(before.target, "production", OLD, repeat_reason="  "), before)
    demand_done(Beginning(before.target, "production", OLD, repeat_reason="The machine was moved."), before)
    silent = a_campaign(profile="production", previous=before)
    with pytest.raises(DatabaseError, match="without a reason"), transaction.atomic():
        a_gate(silent, 1, verdict=None)
    said = a_campaign(profile="production", previous=before, repeat_reason="The machine was moved.")
    assert a_gate(said, 1, verdict=None).is_open


@pytest.mark.django_db(transaction=True)
def test_of_two_who_approve_at_once_one_does(postgres_server):
    incident = an_incident("approval")
    people = [person("owner", "anna").pk, person("owner", "ben").pk]
    code = """
from django.contrib.auth.models import User
from gates.incidents.commands import IncidentRefusedError, approve_restart
person = User.objects.get(pk={person})
print("ready", flush=True)
input()
try:
    approve_restart({incident}, words="I saw it.", person=person, now=timezone.now())
    print("done")
except IncidentRefusedError as error:
    print(error)
"""
    approvers = [elsewhere(postgres_server, code.format(person=pk, incident=incident.pk)) for pk in people]
    for each in approvers:
        assert each.stdout.readline() == "ready\n"
    for each in approvers:
        each.stdin.write("\n")
        each.stdin.flush()
    said = sorted(each.communicate(timeout=30)[0].strip() for each in approvers)
    assert said == ["This incident is at “approved”, not at “approval”: the step is taken, or not in its turn.", "done"]
    assert Incident.objects.get().state == "approved"


@pytest.mark.django_db(transaction=True)
def test_of_two_that_open_gate_1_at_once_one_does(postgres_server):
    run = a_run()
    code = f"""
from gates.models import Campaign, Run
from django.db import DatabaseError
run = Run.objects.get(pk={run.pk})
campaign = Campaign.objects.create(target=run.campaign.target, profile="smoke", build="x", started_at=timezone.now())
print("ready", flush=True)
pk = int(input())
try:
    Run.objects.create(campaign_id=pk, gate=1, plan={{}}, planned_start=run.planned_start, planned_end=run.planned_end)
    print("done")
except DatabaseError:
    print("refused")
"""
    campaign = a_campaign(name="other")
    starters = [elsewhere(postgres_server, code) for _ in range(2)]
    for each in starters:
        assert each.stdout.readline() == "ready\n"
    for each in starters:
        each.stdin.write(f"{campaign.pk}\n")
        each.stdin.flush()
    assert sorted(each.communicate(timeout=30)[0].strip() for each in starters) == ["done", "refused"]
    assert Campaign.objects.get(pk=campaign.pk).runs.count() == 1


def test_the_bundled_desks_own_prevention_test_fails_with_the_defect_and_passes_without():
    found = subprocess.run(
        [sys.executable, "-c", "from gates.rehearsal.defects.planting import health, plant; "
         "print(health.own_build()); plant('sequence-gap'); print(health.own_build())"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    clean, planted = found.stdout.split()
    for build, code in ((planted, 1), (clean, 0), ("sha256:none", 3)):
        argv = [sys.executable, "-m", "wartest_site.prevention", build, "sequence-gap"]
        told = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        assert told.returncode == code, told.stdout + told.stderr
