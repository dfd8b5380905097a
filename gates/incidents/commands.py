"""What people do about an incident, step by step; the database refuses what is skipped (`gates.models.incidents`).

Each command says in one sentence why it refuses, and changes all of a step or nothing.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from audits.verdicts import Verdict
from gates.campaigns.hands import SURELY_HANDS
from gates.checks import health
from gates.incidents.prevention import PreventionError, prevention_argv, spec_of_build
from gates.models import Campaign, CrashPoint, Finding, Incident, IncidentFinding, Proof, RunEvent
from gates.targets.access import TargetUnreachableError, access

State = Incident.State
AT_ONCE = 20
MOST_WORDS = 4000
CRASH_POINT = "crash-point:"  # how the test is named that is a strike


class IncidentRefusedError(Exception):
    """The step cannot be taken; the message says why and what to do."""


def open_missing(now: datetime) -> int:
    """Open the incident of each failed campaign that has none. Returns how many; safe to repeat and to race."""
    failed = Campaign.objects.filter(verdict=Verdict.FAILED, incident=None, runs__gate=1).order_by("pk").distinct()
    new = [Incident(campaign=campaign, opened_at=now) for campaign in failed[:AT_ONCE]]
    return len(Incident.objects.bulk_create(new, ignore_conflicts=True))


@transaction.atomic
def investigate(incident_id: int, *, cause: str, findings: Iterable[int], person: User, now: datetime) -> None:
    """Name the cause, tied to the findings it explains. Raises IncidentRefusedError."""
    incident = _at(incident_id, State.INVESTIGATE)
    own = Finding.objects.filter(run__campaign=incident.campaign)
    tied = list(own.filter(pk__in=list(findings)))
    if not tied and own.exists():
        raise IncidentRefusedError("Choose the findings that this cause explains: a cause is tied to what was found.")
    IncidentFinding.objects.bulk_create(
        (IncidentFinding(incident=incident, finding=each) for each in tied), ignore_conflicts=True
    )
    incident.cause, incident.investigated_by, incident.investigated_at = _words(cause, "the cause"), person, now
    _step(incident, State.FIX)


@transaction.atomic
def fix(incident_id: int, *, words: str, build: str, person: User, now: datetime) -> None:
    """Note the fix, and the build that has it as the target itself shows it. Raises IncidentRefusedError."""
    incident = _at(incident_id, State.FIX)
    if not build:
        raise IncidentRefusedError("The target does not show its build now: start the fixed build, then note the fix.")
    if build == incident.campaign.build and not only_hands(incident.campaign):
        raise IncidentRefusedError(f"The target still runs {build}, the build that failed: start the fixed one first.")
    incident.fix, incident.fixed_build = _words(words, "the fix"), build
    incident.fixed_by, incident.fixed_at = person, now
    _step(incident, State.TEST)


def build_now(campaign: Campaign) -> str:
    """Return the build that the target shows, empty where it shows none."""
    try:
        return str(health.observe(access(campaign.target.spec)).get("build") or "")
    except TargetUnreachableError:
        return ""


def only_hands(campaign: Campaign) -> bool:
    """Whether nothing but what is surely hands failed the campaign: then there may be nothing to fix in the target."""
    hands = RunEvent.objects.filter(run__campaign=campaign, kind=RunEvent.Kind.INTERVENTION).exists()
    return hands and not Finding.objects.filter(run__campaign=campaign).exclude(rule__in=SURELY_HANDS).exists()


@transaction.atomic
def ask_for_proof(incident_id: int, *, test: str, person: User | None, now: datetime) -> list[Proof]:
    """Have the portal run the prevention test on the old build and on the new one. Raises IncidentRefusedError."""
    incident = _at(incident_id, State.TEST)
    if test.startswith(CRASH_POINT):
        raise IncidentRefusedError(f"{CRASH_POINT}… names a crash point: choose one from their list.")
    spec = incident.campaign.target.spec
    asked = {"incident": incident, "test": test, "asked_by": person, "asked_at": now}
    return _on_both(asked, lambda build: prevention_argv(spec, build=build, test=test))


@transaction.atomic
def ask_for_strike(incident_id: int, *, point_id: int, person: User | None, now: datetime) -> list[Proof]:
    """Have the portal strike at a crash point that failed, on the old build and on the new. Raises
    IncidentRefusedError."""
    incident = _at(incident_id, State.TEST)
    point = failed_points(incident.campaign).filter(pk=point_id).first()
    if point is None:
        raise IncidentRefusedError("Choose a crash point at which this campaign failed.")
    spec = incident.campaign.target.spec
    test = f"{CRASH_POINT}{point.pk}"
    asked = {"incident": incident, "test": test, "crash_point": point, "asked_by": person, "asked_at": now}
    return _on_both(asked, lambda build: list(spec_of_build(spec, build)["process"]["command"]))


def failed_points(campaign: Campaign) -> QuerySet[CrashPoint]:
    """Return the crash points at which a campaign's gate 2 failed, in the order of the scenarios."""
    failed = CrashPoint.objects.filter(scenario__run__campaign=campaign, verdict=Verdict.FAILED)
    return failed.select_related("scenario").order_by("scenario__number", "number")


def _on_both(asked: dict[str, Any], argv_of: Callable[[str], list[str]]) -> list[Proof]:
    """Ask for one and the same proof on the build that failed and on the fixed one."""
    incident: Incident = asked["incident"]
    proofs = []
    for build in dict.fromkeys((incident.campaign.build, incident.fixed_build)):
        try:
            with transaction.atomic():
                proofs.append(Proof.objects.create(**asked, build=build, argv=argv_of(build)))
        except PreventionError as error:
            raise IncidentRefusedError(str(error)) from error
        except IntegrityError as error:
            raise IncidentRefusedError(f"The test {asked['test']} runs on {build}: wait for its end.") from error
    return proofs


@transaction.atomic
def accept_proof(incident_id: int, *, person: User, now: datetime) -> None:
    """Take the proof as given: one test failed on the old build and passed on the new. Raises IncidentRefusedError."""
    incident = _at(incident_id, State.TEST)
    if not proven(incident):
        raise IncidentRefusedError("No test has failed on the old build and passed on the new one: run one that does.")
    incident.tested_by, incident.tested_at = person, now
    _step(incident, State.APPROVAL)


def proven(incident: Incident) -> bool:
    """Whether one and the same test failed on the build that failed and passed on the fixed one."""
    done = incident.proofs.filter(state=Proof.State.DONE)
    passed = set(done.filter(build=incident.fixed_build, verdict=Verdict.PASSED).values_list("test", flat=True))
    if incident.fixed_build == incident.campaign.build:
        return bool(passed)
    return done.filter(build=incident.campaign.build, verdict=Verdict.FAILED, test__in=passed).exists()


@transaction.atomic
def approve_restart(incident_id: int, *, words: str, person: User, now: datetime) -> None:
    """Let the target start again, as another person than the one who fixed it. Raises IncidentRefusedError."""
    incident = _at(incident_id, State.APPROVAL)
    if incident.fixed_by_id == person.pk:
        raise IncidentRefusedError("You noted the fix: another person approves the restart.")
    incident.approval, incident.approved_by, incident.approved_at = _words(words, "what you rest on"), person, now
    _step(incident, State.APPROVED)


@transaction.atomic
def send_back(incident_id: int, *, now: datetime) -> None:
    """Go back to the fix: fix and test begin anew, and the history keeps what was. Raises IncidentRefusedError."""
    incident = _at(incident_id, State.TEST, State.APPROVAL)
    incident.fix, incident.fixed_build, incident.fixed_by, incident.fixed_at = "", "", None, None
    incident.tested_by, incident.tested_at = None, None
    _step(incident, State.FIX)


def note_restart(campaign: Campaign) -> None:
    """Note on the incident of the campaign before that this one has started."""
    if campaign.previous_id is not None:
        Incident.objects.filter(campaign=campaign.previous_id, state=State.APPROVED).update(state=State.RESTARTED)


def _at(incident_id: int, *states: str) -> Incident:
    incident = (
        Incident.objects.select_for_update(of=("self",))
        .select_related("campaign__target")
        .filter(pk=incident_id)
        .first()
    )
    if incident is None:
        raise IncidentRefusedError("There is no such incident.")
    if incident.state not in states:
        raise IncidentRefusedError(
            f"This incident is at “{incident.state}”, not at “{states[0]}”: the step is taken, or not in its turn."
        )
    return incident


def _words(text: str, what: str) -> str:
    text = text.strip()
    if not text:
        raise IncidentRefusedError(f"Say {what} in words.")
    if len(text) > MOST_WORDS:
        raise IncidentRefusedError(f"Say {what} in at most {MOST_WORDS} characters, and link to the rest.")
    return text


def _step(incident: Incident, to: str) -> None:
    incident.state = to
    incident.save()
