"""Who may do what. Everyone who is signed in sees every page; what changes something needs a permission.

| role         | starts runs | works through findings | sees rows in the admin |
|--------------|-------------|------------------------|------------------------|
| engineer     | yes         |                        | yes                    |
| auditor      |             | yes                    | yes                    |
| risk officer |             |                        | yes                    |
| owner        |             |                        | yes                    |

The admin is open to a member of a role when an administrator also makes them staff. Who runs does not judge, and who
signs does neither.
"""

from dataclasses import dataclass

from django.contrib.auth.models import Group, Permission

from gates.role_names import AUDITOR, ENGINEER, OWNER, RISK_OFFICER

START_RUN = "gates.start_run"
TRIAGE = "gates.change_finding"


@dataclass(frozen=True, slots=True)
class Role:
    """A group of people and what its members may change; all of them may see everything of ours."""

    name: str
    may: tuple[str, ...]


ROLES = (
    Role(ENGINEER, may=(START_RUN,)),
    Role(AUDITOR, may=(TRIAGE,)),
    Role(RISK_OFFICER, may=()),
    Role(OWNER, may=()),
)


def make_groups() -> None:
    """Make the four groups with exactly these permissions; members stay. Doing it again changes nothing."""
    ours = Permission.objects.filter(content_type__app_label="gates")
    seen = ours.filter(codename__startswith="view_")
    for role in ROLES:
        group, _ = Group.objects.get_or_create(name=role.name)
        codenames = [permission.removeprefix("gates.") for permission in role.may]
        group.permissions.set([*seen, *ours.filter(codename__in=codenames)])
