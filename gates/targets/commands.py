"""What people cause: adding a target, describing it anew, removing it."""

from datetime import datetime
from typing import Any

from django.db import transaction

from gates.models import Run, Target
from gates.targets.from_variables import NAME as FROM_VARIABLES
from gates.targets.from_variables import described
from gates.targets.queries import target_named


class TargetRefusedError(Exception):
    """The target cannot be added, changed or removed now; the message says why."""


@transaction.atomic
def add_target(name: str, spec: dict[str, Any], now: datetime) -> tuple[Target, str]:
    """Add a target, or describe it anew; returns it and what was done: added, changed, returned or unchanged.

    A removed one comes back. Raises TargetRefusedError while a run of it is going on: a description that changes under
    a run is a person's hand in it.
    """
    target, is_new = Target.objects.select_for_update().get_or_create(
        name=name, defaults={"spec": spec, "created_at": now}
    )
    if is_new:
        return target, "added"
    was_removed = target.removed_at is not None
    if target.spec == spec and not was_removed:
        return target, "unchanged"
    _demand_rest(target)
    target.spec, target.removed_at = spec, None
    target.save(update_fields=["spec", "removed_at"])
    return target, "returned" if was_removed else "changed"


@transaction.atomic
def remove_target(name: str, now: datetime) -> Target:
    """Let a target start nothing any more. Its campaigns, reports and evidence stay.

    Raises NoSuchTargetError, and TargetRefusedError for the bundled target and while a run is going on.
    """
    target = Target.objects.select_for_update().get(pk=target_named(name).pk)
    if name == "rehearsal":
        raise TargetRefusedError("The rehearsal target is the portal's own and stays.")
    _demand_rest(target)
    target.removed_at = now
    target.save(update_fields=["removed_at"])
    return target


def add_from_variables(now: datetime) -> Target | None:
    """Add the target that the four variables describe, where they are set and nobody removed it; None otherwise."""
    spec = described()
    if spec is None:
        return None
    found = Target.objects.filter(name=FROM_VARIABLES).first()
    if found is not None and (found.removed_at is not None or found.spec == spec):
        return found
    try:
        return add_target(FROM_VARIABLES, spec, now)[0]
    except TargetRefusedError:
        return found


def _demand_rest(target: Target) -> None:
    going = Run.objects.filter(campaign__target=target, state=Run.State.RUNNING).first()
    if going is not None:
        raise TargetRefusedError(
            f"Run {going.pk} of {target} is going on: wait for its end, a description that changes would fail it."
        )
