"""What people do about an alert. Nobody resolves one: a clean re-check does."""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from gates.alerts.raising import note
from gates.models import Alert, AlertStep

MOST_WORDS = 2000


class AlertRefusedError(Exception):
    """It cannot be done; the message says why and what to do."""


@transaction.atomic
def acknowledge(alert_id: int, *, person: User, words: str, now: datetime, opening: int | None = None) -> Alert:
    """Say that one knows of the alert and what one does about it. Raises AlertRefusedError.

    `opening` is the one that the person was shown: who saw an earlier one has not seen what came back since.
    """
    alert = Alert.objects.select_for_update().filter(pk=alert_id).first()
    if alert is None:
        raise AlertRefusedError("There is no such alert.")
    if alert.state == Alert.State.RESOLVED:
        raise AlertRefusedError("The alert is resolved already: a re-check was clean.")
    if alert.state == Alert.State.ACKNOWLEDGED:
        raise AlertRefusedError(f"{acknowledged_by(alert)} has acknowledged the alert already.")
    if opening not in (None, alert.openings):
        raise AlertRefusedError("The alert has opened again since you were shown it: read what it says now first.")
    words = words.replace("\0", "").strip()
    if not words:
        raise AlertRefusedError("Say in a few words what you know and what you do about it.")
    if len(words) > MOST_WORDS:
        raise AlertRefusedError(f"Say it in {MOST_WORDS:,} letters at most; these are {len(words):,}.")
    note(alert, AlertStep.Kind.ACKNOWLEDGED, now, words=words, person=person)
    alert.state = Alert.State.ACKNOWLEDGED
    alert.save(update_fields=["state"])
    return alert


def acknowledged_by(alert: Alert) -> User | None:
    """Return who acknowledged this opening of the alert."""
    step = alert.steps.filter(kind=AlertStep.Kind.ACKNOWLEDGED, opening=alert.openings).select_related("person").last()
    return step.person if step else None
