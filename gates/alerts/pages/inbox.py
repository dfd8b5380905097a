"""Which alerts the inbox shows, in which order, and a text that changes whenever it would."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from django.contrib.auth.models import User
from django.db.models import Case, Count, F, IntegerField, Max, OuterRef, Q, QuerySet, Subquery, Sum, Value, When

from gates import pulses
from gates.models import Alert, AlertStep
from gates.models.slots import LEVELS

State = Alert.State
STATES = {
    "standing": ~Q(state=State.RESOLVED),
    "open": Q(state=State.OPEN),
    "acknowledged": Q(state=State.ACKNOWLEDGED),
    "resolved": Q(state=State.RESOLVED),
    "all": Q(),
}
LONGEST = 100
MOST_COUNTED = 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the reader asked for; an empty text narrows nothing, and what is no choice counts as not asked."""

    state: str = "standing"
    level: str = ""
    rule: str = ""
    target: str = ""
    mine: bool = False

    @classmethod
    def asked(cls, query: Mapping[str, Any]) -> Self:
        """Read it from a query string."""
        state, level = query.get("state", ""), query.get("level", "")
        return cls(
            state=state if state in STATES else "standing",
            level=level if level in dict(LEVELS) else "",
            rule=query.get("rule", "")[:LONGEST].replace("\0", ""),
            target=query.get("target", "")[:LONGEST].replace("\0", ""),
            mine=query.get("mine") == "1",
        )

    @property
    def narrowed(self) -> bool:
        return self != type(self)()


def alerts_of(wanted: Wanted, reader: User) -> QuerySet[Alert]:
    """The alerts that are wanted, least time left first; after the open ones what somebody knows of, then the past."""
    found = Alert.objects.filter(STATES[wanted.state])
    for name, value in (("level", wanted.level), ("rule", wanted.rule), ("target__name", wanted.target)):
        found = found.filter(**{name: value}) if value else found
    if wanted.mine:
        found = found.filter(_mine(reader))
    done = [When(state=State.OPEN, then=Value(0)), When(state=State.ACKNOWLEDGED, then=Value(1))]
    place = Case(*done, default=Value(2), output_field=IntegerField())
    shown = found.annotate(place=place, known_by=known_by())
    return shown.select_related("target", "run").order_by("place", F("resolved_at").desc(), "deadline_at", "pk")


def known_by() -> Subquery:
    """The name of who acknowledged the present opening of an alert."""
    steps = AlertStep.objects.filter(alert=OuterRef("pk"), kind=AlertStep.Kind.ACKNOWLEDGED)
    return Subquery(steps.filter(opening=OuterRef("openings")).order_by("-pk").values("person__username")[:1])


def _mine(reader: User) -> Q:
    """Alerts that this person acknowledged, and those that were passed on to a role of theirs."""
    roles = list(reader.groups.values_list("name", flat=True))
    known = AlertStep.objects.filter(kind=AlertStep.Kind.ACKNOWLEDGED, person=reader).values("alert")
    return Q(escalated_to__in=roles) | Q(pk__in=known)


def choices() -> dict[str, list[str]]:
    """The rules and targets that alerts have had, by name."""
    rules = Alert.objects.order_by("rule").values_list("rule", flat=True).distinct()
    targets = Alert.objects.filter(target__isnull=False).order_by("target__name")
    return {
        "rules": list(rules[:200]),
        "targets": list(targets.values_list("target__name", flat=True).distinct()[:200]),
    }


def cursor() -> str:
    """Return a text that changes whenever some alert was raised, folded, moved or delivered."""
    step = AlertStep.objects.aggregate(last=Max("pk"))["last"] or 0
    standing = Alert.objects.exclude(state=State.RESOLVED).aggregate(times=Sum("count"), told=Count("delivered_at"))
    return f"{step}-{standing['times'] or 0}-{standing['told']}"


@dataclass(frozen=True, slots=True)
class Standing:
    """What every page says of alerts: how many are open, how many of them critical or overdue, and the newest one."""

    open: int
    critical: int
    overdue: int
    newest_critical: int


def standing(now: datetime) -> Standing:
    """Count the open alerts; `newest_critical` is 0 without one, and rises with each that opens."""
    counted = Alert.objects.filter(state=State.OPEN).aggregate(
        open=Count("pk"),
        critical=Count("pk", filter=Q(level="critical")),
        overdue=Count("pk", filter=Q(deadline_at__lte=now)),
    )
    opened = AlertStep.objects.filter(kind__in=OPENINGS, alert__state=State.OPEN, alert__level="critical")
    return Standing(**counted, newest_critical=opened.aggregate(newest=Max("pk"))["newest"] or 0)


def stopped_words(now: datetime) -> list[str]:
    """Name each part of the portal that has stopped, in words that stay the same while it stands still."""
    return [each.strip(now) for each in pulses.standing_still(now)]


OPENINGS = (AlertStep.Kind.RAISED, AlertStep.Kind.REOPENED)
