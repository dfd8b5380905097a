"""The deadlines' part of a tick: alerts that are due are said again, or to one more role. One step of each at most."""

from datetime import datetime

from django.db import transaction

from gates.alerts import raising
from gates.alerts.deadlines import ORDER, Escalate, Remind, Waiting, looked_at, next_step
from gates.alerts.delivery import outbox
from gates.models import Alert, AlertStep

Kind = AlertStep.Kind
TOLD = (Kind.RAISED, Kind.REOPENED, Kind.REMINDED, Kind.ESCALATED, Kind.ACKNOWLEDGED)
MOST_STEPS = 100  # of one tick; the next is a second away


def attend(now: datetime) -> int:
    """Take the step of each alert that is due, oldest first. Returns how many; two ticks at once take each once."""
    due = Alert.objects.exclude(state=Alert.State.RESOLVED).filter(step_at__lte=now).order_by("step_at", "pk")
    return sum(_step(alert_id, now) for alert_id in due.values_list("pk", flat=True)[:MOST_STEPS])


@transaction.atomic
def _step(alert_id: int, now: datetime) -> bool:
    """Look again under the alert's lock; whether or not something was due, note when to look next."""
    alert = Alert.objects.select_for_update().exclude(state=Alert.State.RESOLVED).filter(pk=alert_id).first()
    if alert is None or alert.step_at is None or alert.step_at > now:
        return False
    step = next_step(waiting(alert), now)
    if isinstance(step, Escalate):
        _escalate(alert, step, now)
    elif isinstance(step, Remind):
        raising.note(alert, Kind.REMINDED, now, words=f"reminder {step.number}")
        outbox.cut(alert, "reminder", now, step.number)
    Alert.objects.filter(pk=alert.pk).update(step_at=looked_at(waiting(alert)))
    return step is not None


def _escalate(alert: Alert, step: Escalate, now: datetime) -> None:
    alert.escalated_to = step.role
    alert.save(update_fields=["escalated_to"])
    raising.note(alert, Kind.ESCALATED, now, words=f"not acknowledged: the {step.role} hears of it")
    outbox.cut(alert, "escalation", now, ORDER.index(step.role))


def waiting(alert: Alert) -> Waiting:
    """How an alert stands with its deadline, from its rows of this opening."""
    steps = list(alert.steps.filter(opening=alert.openings, kind__in=TOLD).values_list("at", "kind"))
    return Waiting(
        level=alert.level,
        deadline_at=alert.deadline_at,
        acknowledged=alert.state == Alert.State.ACKNOWLEDGED,
        role=alert.escalated_to or ORDER[0],
        told_at=max((at for at, _ in steps), default=alert.raised_at),
        reminders=sum(kind == Kind.REMINDED for _, kind in steps),
    )
