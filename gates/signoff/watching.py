"""A campaign that goes on by signatures which do not stand any more is a critical alert, until they are given again."""

from datetime import datetime

from gates.alerts.raising import Event, raise_event, resolve
from gates.models import Alert, Campaign
from gates.signoff.standing import VOID, WENT_ON, missing

AT_ONCE = 20


def attend(now: datetime) -> None:
    """Resolve what stands again or has ended, then raise what became void. Called by every tick; safe to repeat."""
    going = Campaign.objects.filter(profile="production", state__in=WENT_ON).select_related("target")
    watched = {row.pk: row for row in going.order_by("pk")[:AT_ONCE]}
    void = {pk: left for pk, row in watched.items() if (left := missing(row))}
    standing = Alert.objects.filter(rule=VOID).exclude(state=Alert.State.RESOLVED)
    raised = {alert.cause.get("campaign"): alert for alert in standing.order_by("pk")[:AT_ONCE]}
    for pk, alert in raised.items():
        if pk not in void:
            words = "Every signature stands." if pk in watched else "The campaign does not go on any more."
            resolve(alert.pk, rechecked_at=now, words=words, now=now)
    for pk in void.keys() - raised.keys():
        sentence = f"Campaign {pk} is {watched[pk].state} by an approval that does not stand any more. {void[pk][0]}"
        event = Event(VOID, "critical", sentence, now, {"campaign": pk})
        raise_event(event, target=watched[pk].target, run=None, now=now)
