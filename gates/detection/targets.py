"""The bundled desk with a planted defect, as a target of its own: struck in the portal like any other."""

from datetime import datetime

from gates.models import Target
from gates.targets.access import REHEARSAL_SPEC


def planted_target(name: str, *, now: datetime) -> Target:
    """The target whose cells run the desk with this defect; the desk that trades outside of cells stays clean."""
    spec = REHEARSAL_SPEC | {"process": REHEARSAL_SPEC["process"] | {"defects": [name]}}
    target, _ = Target.objects.get_or_create(name=f"rehearsal with {name}", defaults={"spec": spec, "created_at": now})
    return target
