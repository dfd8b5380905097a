"""The lease of the streams: one process of a portal holds them, a second one waits."""

from datetime import datetime, timedelta

from django.db.models import F, Q

from gates.models import StreamLease

NAME = "streams"
LEASE = timedelta(seconds=6)
RENEW_S = 1.0


def take(holder: str, *, now: datetime) -> bool:
    """Take or renew the lease; False while another one holds it. On the row's own columns, so that one wins."""
    StreamLease.objects.bulk_create([StreamLease(name=NAME, holder="", lease_until=now)], ignore_conflicts=True)
    ours = StreamLease.objects.filter(name=NAME, holder=holder).update(lease_until=now + LEASE)
    if ours:
        return True
    free = Q(holder="") | Q(lease_until__lt=now)
    won = StreamLease.objects.filter(free, name=NAME)
    return bool(won.update(holder=holder, lease_until=now + LEASE, attempt=F("attempt") + 1))


def give_back(holder: str, *, now: datetime) -> None:
    """Let another process take over at once."""
    StreamLease.objects.filter(name=NAME, holder=holder).update(holder="", lease_until=now)
