"""The outbox: messages cut in the transaction that gives a reason for them, claimed with a lease, tried until done.

At least once: a process that dies between sending and noting leaves a lease, and whoever finds it sends the message
again with the same key. Nothing hangs on the NOTIFY; it only makes what is cut be seen sooner.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.urls import reverse

from gates.alerts.deadlines import ORDER, roles_told
from gates.alerts.delivery import words
from gates.alerts.delivery.pauses import pause
from gates.alerts.delivery.routing import RANKS, Quiet, Way, due_at, ways_for
from gates.models import Alert, Delivery, Route
from gates.workers import is_dead

CHANNEL = "wartest_outbox"
LEASE = timedelta(seconds=45)  # above what one try may take
MOST_ROUTES = 100
MOST_HELD = 2000
Occasion, State = Delivery.Occasion, Delivery.State


@transaction.atomic
def cut(alert: Alert, occasion: str, now: datetime, number: int = 0) -> int:
    """Insert a message for each route that must tell of the alert; again changes nothing. Returns how many there are.

    `number` tells apart what is said more than once of the same opening: the reminder's, or the place of the role.
    Call it in the transaction that gives the reason.
    """
    if occasion == Occasion.RAISED:
        Alert.objects.filter(pk=alert.pk).update(step_at=now)  # from now on its deadline counts
    return put(alert, occasion, now, number)


def put(alert: Alert, occasion: str, now: datetime, number: int = 0) -> int:
    """Insert the messages alone, with no word about the deadline; what is there already stays. Returns as above."""
    ways = [way_of(route) for route in Route.objects.filter(active=True).order_by("pk")[:MOST_ROUTES]]
    messages = [_message(alert, occasion, way, now, number) for way in _taken(ways, alert, occasion)]
    if messages:
        Delivery.objects.bulk_create(messages, ignore_conflicts=True)
        wake()
    return len(messages)


def wake() -> None:
    """Let the delivering process know, once this transaction is committed, that there is something to look at."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])


def way_of(route: Route) -> Way:
    quiet = None
    if route.quiet_from is not None and route.quiet_until is not None:
        quiet = Quiet(route.quiet_from, route.quiet_until, ZoneInfo(route.time_zone))
    return Way(route.pk, frozenset(route.levels), frozenset(route.roles), quiet)


def _taken(ways: list[Way], alert: Alert, occasion: str) -> list[Way]:
    """Return the ways of a message. An alert about a route goes by others; who waits for one is not reminded too."""
    about = alert.cause.get("route")
    role = alert.escalated_to or ORDER[0]
    if occasion == Occasion.RESOLVED:
        told = set(alert.deliveries.values_list("route_id", flat=True))
        return [way for way in ways if way.route_id in told]
    roles = roles_told(role) if occasion == Occasion.REMINDER else (role,)
    found = ways_for(ways, level=alert.level, roles=roles, without=() if about is None else (about,))
    if occasion == Occasion.REMINDER:
        waiting = set(alert.deliveries.filter(state=State.WAITING).values_list("route_id", flat=True))
        found = [way for way in found if way.route_id not in waiting]
    return found


def _message(alert: Alert, occasion: str, way: Way, now: datetime, number: int) -> Delivery:
    told = _told(alert)
    return Delivery(
        alert=alert,
        route_id=way.route_id,
        occasion=occasion,
        key=f"{opening_key(alert)}{occasion}-{number}-route-{way.route_id}",
        level=alert.level,
        rank=RANKS[alert.level],
        title=words.title(told, occasion),
        body=words.body(told, occasion),
        cut_at=now,
        next_at=due_at(way, level=alert.level, now=now),
    )


def opening_key(alert: Alert) -> str:
    """How the keys of all messages of an alert begin that tell of its present opening."""
    return f"alert-{alert.pk}-{alert.openings}-"


def _told(alert: Alert) -> words.Told:
    place = settings.ENVIRONMENT.public_url
    return words.Told(
        level=alert.level,
        rule=alert.rule,
        sentence=alert.sentence,
        target=alert.target.name if alert.target else "",
        threshold=alert.threshold,
        count=alert.count,
        event_at=alert.event_at,
        raised_at=alert.raised_at,
        deadline_at=alert.deadline_at,
        link=f"{place}{page(alert)}" if place else "",
    )


def page(alert: Alert) -> str:
    """The address of the alert's page within the portal."""
    return f"{reverse('gates:dashboard')}alerts/{alert.pk}/"


@dataclass(frozen=True, slots=True)
class Room:
    """How many messages of a route may be taken, and down to which rank: 0 is critical alone."""

    most: int
    least_rank: int


CLAIM = """
    WITH room AS (
        SELECT route.id AS route_id, coalesce(taken.most, %(most)s) AS most,
            coalesce(taken.least_rank, %(least_rank)s) AS least_rank
        FROM gates_route route LEFT JOIN unnest(%(routes)s::bigint[], %(mosts)s::int[], %(least_ranks)s::int[])
            AS taken(route_id, most, least_rank) ON taken.route_id = route.id
        WHERE route.active
    ), picked AS (
        SELECT due.id FROM room CROSS JOIN LATERAL (
            SELECT id FROM gates_delivery
            WHERE route_id = room.route_id AND state = 'waiting' AND next_at <= %(now)s AND rank <= room.least_rank
                AND (lease_until IS NULL OR lease_until < %(now)s)
            ORDER BY rank, next_at, id LIMIT room.most FOR UPDATE SKIP LOCKED
        ) due
    )
    UPDATE gates_delivery SET attempts = attempts + 1, worker = %(worker)s, lease_until = %(lease_until)s
    FROM picked, gates_route route WHERE gates_delivery.id = picked.id AND route.id = gates_delivery.route_id
    RETURNING gates_delivery.*, route.name AS route_name, route.address AS route_address
"""


def claim(*, worker: str, room: Room, taken: Mapping[int, Room], now: datetime) -> list[Delivery]:
    """Take messages that are due for one lease and one try, critical ones first; one statement, for all routes.

    `taken` is the room of the routes on which something is under way, `room` that of all others. Rows that another
    process is just taking are passed over, not waited for.
    """
    values = {
        "most": room.most,
        "least_rank": room.least_rank,
        "routes": list(taken),
        "mosts": [each.most for each in taken.values()],
        "least_ranks": [each.least_rank for each in taken.values()],
        "worker": worker,
        "lease_until": now + LEASE,
        "now": now,
    }
    rows = sorted(Delivery.objects.raw(CLAIM, values), key=lambda row: (row.rank, row.next_at, row.pk))
    for row in rows:
        row.route = Route(pk=row.route_id, name=vars(row)["route_name"], address=vars(row)["route_address"])
    return rows


@transaction.atomic
def note_delivered(row: Delivery, *, now: datetime) -> bool:
    """Note that the receiver took it at `now`. False when another try has it, or it is done."""
    won = _mine(row).update(state=State.DELIVERED, delivered_at=now, lease_until=None, last_error="")
    if won and row.alert_id:
        Alert.objects.filter(pk=row.alert_id, delivered_at=None).update(delivered_at=now)
    if won:
        Route.objects.filter(pk=row.route_id).update(last_delivered_at=now, failures=0)
    return bool(won)


@transaction.atomic
def note_failed(row: Delivery, why: str, *, spread: float, now: datetime) -> bool:
    """Note in words why a try failed, and when the next one is; after the last it is given up. False as above."""
    wait = pause(row.attempts, spread)
    changes = {"lease_until": None, "last_error": why}
    ends = {"state": State.GIVEN_UP, "given_up_at": now} if wait is None else {"next_at": now + wait}
    won = _mine(row).update(**changes, **ends)
    if won:
        Route.objects.filter(pk=row.route_id).update(failures=F("failures") + 1, last_error=why, last_failed_at=now)
    return bool(won)


def _mine(row: Delivery):  # type: ignore[no-untyped-def]  # a query set of one row at most
    """The row, as long as this try of it is the last: a late writer changes nothing."""
    return Delivery.objects.filter(pk=row.pk, state=State.WAITING, attempts=row.attempts, worker=row.worker)


def free_claims_of_the_dead(now: datetime) -> int:
    """Take back what processes of this machine held when they died. Returns how many messages."""
    held = Delivery.objects.filter(state=State.WAITING, lease_until__gte=now).values_list("worker", flat=True)
    dead = [worker for worker in held.order_by().distinct()[:MOST_HELD] if is_dead(worker)]
    taken = Delivery.objects.filter(state=State.WAITING, lease_until__gte=now, worker__in=dead)
    return taken.update(lease_until=None) if dead else 0
