"""Looking again: an alert is resolved by a clean look of everybody who saw it, and of nobody else.

Who saw it stands in its cause: a check of a slot by its name, `watch` for what is watched several times a second,
`heal` for a fault that was left. A look counts for all runs of a target in the same world: gate 4 trades another
account than the gates before it.
"""

from datetime import datetime

from django.db.models import QuerySet

from audits.verdicts import Verdict
from gates.alerts.raising import resolve
from gates.models import Alert, Heal, SlotResult

WATCH = "watch"
HEAL = "heal"
AT_ONCE = 50  # a tick's share; which ones is chance, so that none waits for ever


def standing() -> QuerySet[Alert]:
    """Alerts that are not resolved."""
    return Alert.objects.exclude(state=Alert.State.RESOLVED)


def recheck(now: datetime) -> int:
    """Resolve what slots and heals have seen to be well since. Returns how many; safe to repeat and to race."""
    waiting = standing().filter(cause__has_key="by").exclude(cause__by=[WATCH]).select_related("run")
    return sum(_recheck(alert, now) for alert in waiting.order_by("?")[:AT_ONCE])


def _recheck(alert: Alert, now: datetime) -> bool:
    """What a slot saw as well as the watch is resolved by slots: while the watch sees it, it happens again."""
    looks = [_heal(alert, now) if who == HEAL else _slot(alert, who) for who in alert.cause["by"] if who != WATCH]
    if not looks or not all(looks):
        return False
    rechecked_at, words = max(look for look in looks if look)
    return resolve(alert.pk, rechecked_at=rechecked_at, words=words, now=now)


def _slot(alert: Alert, check_name: str) -> tuple[datetime, str] | None:
    """The newest passed slot of this check that began to look after the last time it happened."""
    passed = SlotResult.objects.filter(
        slot__check_name=check_name,
        slot__run__campaign__target=alert.target_id,
        verdict=Verdict.PASSED,
        started_at__gt=alert.last_at,
    )
    if alert.run is not None:
        passed = passed.filter(slot__run__gate=4) if alert.run.gate == 4 else passed.exclude(slot__run__gate=4)
    if check_name == "stops":  # it judges a window of the past
        passed = passed.filter(slot__window_start__gt=alert.last_at, measured__touches__gt=0)
    found = passed.select_related("slot").order_by("-started_at").first()
    return (found.started_at, f"The slot {found.slot} of run {found.slot.run_id} passed.") if found else None


def _heal(alert: Alert, now: datetime) -> tuple[datetime, str] | None:
    """A look of now, where no heal of the run that was due is left; the words are of the one that the alert names.

    When it was healed does not count: workers of other machines, which cannot see that, raise the alert until they do.
    """
    due = Heal.objects.filter(crash_point__scenario__run=alert.run_id, due_at__lt=now)
    if due.filter(healed_at=None).exists():
        return None
    heal = due.select_related("undone_by").filter(pk=alert.cause.get("heal")).first()
    return (now, f"The {heal} {_became(heal)}.") if heal else None


def _became(heal: Heal) -> str:
    return f"was undone by hand, as {heal.undone_by} says" if heal.undone_by else "was carried out"
