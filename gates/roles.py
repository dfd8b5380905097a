"""Who may do what. Everyone who is signed in sees every page; what changes something needs a permission.

| role         | starts runs | works through findings | reviews code | signs off | plans capital    | stops the target |
|--------------|-------------|------------------------|--------------|-----------|------------------|------------------|
| engineer     | yes         |                        | yes          | yes       | proposes         | yes              |
| auditor      |             | yes                    | yes          |           |                  |                  |
| risk officer |             |                        |              | yes       | proposes, decides| yes              |
| owner        |             |                        |              | yes       | proposes, decides| yes              |

Engineers and auditors take an incident through its cause, its fix and its prevention test; risk officers and owners
approve the restart. All of them acknowledge alerts, start drills of the alerts, write the reviews of a
long run, and see rows in the admin. All but auditors keep the routes of the alerts, and say that what a strike left
on a machine that is gone was undone by hand.

Who proposes a plan of capital never decides about it.
Who signs is set by SIGN_OFF_ROLES. Nobody signs a campaign that they started, or whose findings they worked on, so an
engineer who runs and an engineer who signs are two people. The admin is open to a member of a role when they are staff.
"""

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import Group, Permission

from gates.role_names import AUDITOR, ENGINEER, OWNER, RISK_OFFICER

START_RUN = "gates.start_run"
WRITE_REVIEW = "gates.write_review"
KEEP_ROUTES = "gates.keep_routes"
DRILL_ALERTS = "gates.drill_alerts"
ACKNOWLEDGE = "gates.acknowledge_alert"
WORK_INCIDENT = "gates.work_incident"
APPROVE_INCIDENT = "gates.approve_incident"
TRIAGE = "gates.change_finding"
REVIEW_CODE = "gates.review_code"
SIGN_OFF = "gates.sign_off"
PROPOSE_CAPITAL = "gates.propose_capital"
APPROVE_CAPITAL = "gates.approve_capital"
STOP_TARGET = "gates.stop_target"
UNDO_BY_HAND = "gates.undo_by_hand"


@dataclass(frozen=True, slots=True)
class Role:
    """A group of people and what its members may change; all of them may see everything of ours."""

    name: str
    may: tuple[str, ...]


EVERYBODY = (WRITE_REVIEW, ACKNOWLEDGE, DRILL_ALERTS)
MAKE_SAFE = (STOP_TARGET, UNDO_BY_HAND)
ROLES = (
    Role(ENGINEER, may=(*EVERYBODY, *MAKE_SAFE, START_RUN, REVIEW_CODE, WORK_INCIDENT, PROPOSE_CAPITAL, KEEP_ROUTES)),
    Role(AUDITOR, may=(*EVERYBODY, TRIAGE, REVIEW_CODE, WORK_INCIDENT)),
    Role(RISK_OFFICER, may=(*EVERYBODY, *MAKE_SAFE, APPROVE_INCIDENT, PROPOSE_CAPITAL, APPROVE_CAPITAL, KEEP_ROUTES)),
    Role(OWNER, may=(*EVERYBODY, *MAKE_SAFE, APPROVE_INCIDENT, PROPOSE_CAPITAL, APPROVE_CAPITAL, KEEP_ROUTES)),
)


def make_groups() -> None:
    """Make the four groups with exactly these permissions; members stay. Doing it again changes nothing."""
    ours = Permission.objects.filter(content_type__app_label="gates")
    seen = ours.filter(codename__startswith="view_")
    for role in ROLES:
        group, _ = Group.objects.get_or_create(name=role.name)
        may = (*role.may, *((SIGN_OFF,) if role.name in settings.SIGN_OFF_ROLES else ()))
        codenames = [permission.removeprefix("gates.") for permission in may]
        group.permissions.set([*seen, *ours.filter(codename__in=codenames)])
