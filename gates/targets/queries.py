"""Reads of targets: those that stand, and one by its name."""

from django.db.models import Count, F, Max, OuterRef, Q, QuerySet, Subquery

from gates.models import Campaign, Preflight, Target
from gates.targets.secrets import TargetUnreachableError


class NoSuchTargetError(TargetUnreachableError):
    """No target of this name stands; the message says which there are."""


def standing_targets() -> QuerySet[Target]:
    """Return the targets that were not removed, by name."""
    return Target.objects.filter(removed_at=None).order_by("name")


def target_named(name: str) -> Target:
    """Return the target. Raises NoSuchTargetError, which names those that there are."""
    target = Target.objects.filter(name=name).first()
    if target is not None and target.removed_at is None:
        return target
    if target is not None:
        raise NoSuchTargetError(f"The target {name!r} was removed: add it again with `manage.py add_target FILE`.")
    known = ", ".join(standing_targets().filter(DESCRIBED).values_list("name", flat=True)[:20]) or "none yet"
    raise NoSuchTargetError(f"There is no target {name!r}; known targets: {known}.")


DESCRIBED = Q(
    spec__process__defects__isnull=True
)  # not the bundled desk with a planted defect, a target of the catalogue's


def listed_targets() -> QuerySet[Target]:
    """Return every target that people described, standing ones first, with `n_campaigns`, `last_campaign`,
    `last_preflight` and whether that was met (`ready`).
    """
    last = Preflight.objects.filter(target=OuterRef("pk")).order_by("-at", "-pk")
    newest = Campaign.objects.filter(target=OuterRef("pk")).order_by("-started_at", "-pk")
    return (
        Target.objects.filter(DESCRIBED)
        .annotate(
            n_campaigns=Count("campaigns", distinct=True),
            last_preflight=Max("preflights__at"),
            ready=Subquery(last.values("met")[:1]),
            last_campaign=Subquery(newest.values("pk")[:1]),
        )
        .order_by(F("removed_at").asc(nulls_first=True), "name")
    )
