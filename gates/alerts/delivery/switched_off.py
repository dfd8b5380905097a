"""Messages that still wait for a route when somebody switches it off: given up, in words, and told by others.

They are not held until it is on again: they would come late and all at once, and an alert would wait, for nobody knows
how long, on a way that a person has closed. What nobody else was told of goes by the routes that are left.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from gates.alerts.delivery import outbox
from gates.models import Alert, Delivery

MOST = 200  # of one look; the next is a second away
WORDS = "Not sent: the route was switched off while this waited."
State = Delivery.State


@transaction.atomic
def leave(now: datetime) -> int:
    """Give up what waits for routes that are switched off. Returns how many messages.

    One that is under way at this moment is not touched: its try ends first, and is noted.
    """
    rows = list(
        Delivery.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(Q(lease_until=None) | Q(lease_until__lt=now), state=State.WAITING, route__active=False)
        .order_by("rank", "pk")[:MOST]
    )
    for row in rows:
        row.state, row.given_up_at, row.lease_until = State.GIVEN_UP, now, None
        row.last_error = f"{WORDS} The last try: {row.last_error}" if row.last_error else WORDS
    Delivery.objects.bulk_update(rows, ["state", "given_up_at", "lease_until", "last_error"])
    for alert in Alert.objects.filter(pk__in={row.alert_id for row in rows}, state=Alert.State.OPEN).order_by("pk"):
        told = alert.deliveries.filter(key__startswith=outbox.opening_key(alert)).exclude(state=State.GIVEN_UP)
        if not told.exists():
            outbox.put(alert, Delivery.Occasion.RAISED, now)
    return len(rows)
