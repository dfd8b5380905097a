"""A failed campaign, its incident, and people who work on it."""

import sys

from django.contrib.auth.models import Group, User

from gates import roles
from gates.campaigns.commands import stop
from gates.incidents import commands, proving
from gates.models import Finding, Incident, Proof, Target
from tests.gates.cast import START, a_campaign, a_gate

OLD, NEW = "sha256:0", "sha256:1"
TEST = "tests/test_books.py::test_commission"
# The test of these rehearsals: it fails on the old build, and passes on every other.
SCRIPT = "import sys; print('ran', *sys.argv[1:]); sys.exit(sys.argv[1] == 'sha256:0')"
PREVENTION = {"command": [sys.executable, "-c", SCRIPT, "{build}", "{test}"], "limit_s": 20}


def person(role, name=None):
    roles.make_groups()
    user, made = User.objects.get_or_create(username=name or role)
    if made:
        user.groups.add(Group.objects.get(name=role))
    return user


def a_failed_campaign(*, profile="production", rule="balance chain", prevention=PREVENTION, baseline=None, **fields):
    """Return a campaign whose gate 1 failed by one finding."""
    campaign = a_campaign(profile=profile, **fields)
    Target.objects.filter(pk=campaign.target_id).update(spec={"prevention": prevention} if prevention else {})
    run = a_gate(campaign, 1, verdict="failed", baseline=baseline or {})
    Finding.objects.create(run=run, rule=rule, level="critical", sentence="Event 118 is off.", found_at=START)
    stop(campaign.pk, "Gate 1 failed: Event 118 is off.", verdict="failed", now=START)
    campaign.refresh_from_db()
    return campaign


def an_incident(at="investigate", **fields):
    """Return the incident of a failed campaign, taken to this state by the people whose step it is."""
    campaign = a_failed_campaign(**fields)
    commands.open_missing(START)
    incident = Incident.objects.get(campaign=campaign)
    engineer, owner = person("engineer"), person("owner")
    steps = {
        "investigate": lambda: commands.investigate(
            incident.pk, cause="A race.", findings=finding_ids(incident), person=engineer, now=START
        ),
        "fix": lambda: commands.fix(incident.pk, words="A lock.", build=NEW, person=engineer, now=START),
        "prevention test": lambda: (
            prove_both(incident),
            commands.accept_proof(incident.pk, person=engineer, now=START),
        ),
        "approval": lambda: commands.approve_restart(incident.pk, words="I saw it.", person=owner, now=START),
    }
    for state, step in steps.items():
        if state == at:
            break
        step()
    incident.refresh_from_db()
    assert incident.state == at
    return incident


def finding_ids(incident):
    return list(Finding.objects.filter(run__campaign=incident.campaign_id).values_list("pk", flat=True))


def prove_both(incident, test=TEST):
    """Run the test on both builds, as the tick would."""
    for proof in commands.ask_for_proof(incident.pk, test=test, person=person("engineer"), now=START):
        assert proving._claim(Proof.objects.get(pk=proof.pk), START)
        proving.prove(proof.pk)
