"""How an alert reaches people: routes, the outbox, and drills that prove the routes.

A route keeps the name of its address and never the address. A row of the outbox is cut in the transaction that gives
a reason for it, and is done when its receiver took it, or given up where a person can see it.
"""

import pghistory
import pgtrigger
from django.conf import settings
from django.db import models

from gates.models.alerts import Alert
from gates.models.keeping import NEVER_EMPTIED
from gates.models.signoff import APPEND_ONLY
from gates.models.slots import LEVELS

NAMED = r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+)$"
SETTINGS = ("name", "address", "levels", "roles", "quiet_from", "quiet_until", "time_zone", "active")


@pghistory.track(
    pghistory.InsertEvent(),
    pghistory.UpdateEvent(condition=pghistory.AnyChange(*SETTINGS)),
    fields=[*SETTINGS],
    model_name="RouteChange",
    obj_field=pghistory.ObjForeignKey(related_name="changes"),
    context_field=pghistory.ContextJSONField(),
    meta={"ordering": ["pgh_created_at", "pgh_id"], "triggers": [NEVER_EMPTIED]},
    append_only=True,
)
class Route(models.Model):
    """One way to people. `address` names where the address is kept: `env:NAME` or `file:/PATH`.

    It takes alerts of its `levels` for people of its `roles` (none: everybody). In its quiet hours, by the clock of
    `time_zone`, only what is critical passes; the rest waits for their end. The delivering process keeps how it goes:
    `trouble` says why the address cannot be used, `failures` counts the tries since the last that was well.
    """

    name = models.CharField(max_length=60, unique=True)
    address = models.CharField(max_length=300)
    levels = models.JSONField()
    roles = models.JSONField(default=list, blank=True)
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    time_zone = models.CharField(max_length=50, default="UTC")
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField()
    looked_at = models.DateTimeField(null=True)
    trouble = models.TextField(blank=True)
    failures = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    last_failed_at = models.DateTimeField(null=True)
    last_delivered_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["name"]
        permissions = [("keep_routes", "Can change the routes of alerts"), ("drill_alerts", "Can start a drill")]
        constraints = [
            models.CheckConstraint(condition=models.Q(address__regex=NAMED), name="an_address_is_named"),
            models.CheckConstraint(condition=~models.Q(levels=[]), name="a_route_takes_something"),
            models.CheckConstraint(
                condition=models.Q(quiet_from=None, quiet_until=None)
                | models.Q(quiet_from__isnull=False, quiet_until__isnull=False)
                & ~models.Q(quiet_from=models.F("quiet_until")),
                name="quiet_hours_begin_and_end",
            ),
        ]
        triggers = [pgtrigger.Protect(name="route_no_delete", operation=pgtrigger.Delete)]

    def __str__(self) -> str:
        return self.name


class Drill(models.Model):
    """A test of every route, in its quiet hours and out of them: who received it, and how fast they said so."""

    started_at = models.DateTimeField()
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    routes = models.PositiveIntegerField()

    class Meta:
        ordering = ["-started_at", "-pk"]
        triggers = [*APPEND_ONLY]

    def __str__(self) -> str:
        return f"drill of {self.started_at:%Y-%m-%d %H:%M} UTC"


STAYS = (
    "(OLD.key, OLD.alert_id, OLD.drill_id, OLD.route_id, OLD.title, OLD.body, OLD.cut_at) IS DISTINCT FROM "
    "(NEW.key, NEW.alert_id, NEW.drill_id, NEW.route_id, NEW.title, NEW.body, NEW.cut_at)"
)
OUTBOX_MOVES = f"""
    IF {STAYS} THEN
        RAISE EXCEPTION 'delivery %: what is said, and to whom, stays', OLD.id;
    ELSIF OLD.state <> 'waiting' THEN
        RAISE EXCEPTION 'delivery %: it is % already', OLD.id, OLD.state;
    ELSIF NEW.attempts < OLD.attempts THEN
        RAISE EXCEPTION 'delivery %: a try is not taken back', OLD.id;
    END IF;
    RETURN NEW;
"""


class Delivery(models.Model):
    """One message to one route: a row of the outbox.

    `key` is the same at every try and goes with the message, so that who receives it twice can tell. `rank` is 0 for
    critical: lower ones go first. It is claimed by its own columns, with a lease and the number of the try.
    """

    class Occasion(models.TextChoices):
        RAISED = "raised"
        REMINDER = "reminder"
        ESCALATION = "escalation"
        RESOLVED = "resolved"
        DRILL = "drill"

    class State(models.TextChoices):
        WAITING = "waiting"
        DELIVERED = "delivered"
        GIVEN_UP = "given up"

    alert = models.ForeignKey(Alert, null=True, on_delete=models.PROTECT, related_name="deliveries")
    drill = models.ForeignKey(Drill, null=True, on_delete=models.PROTECT, related_name="deliveries")
    route = models.ForeignKey(Route, on_delete=models.PROTECT, related_name="deliveries")
    occasion = models.CharField(max_length=10, choices=Occasion)
    key = models.CharField(max_length=80, unique=True)
    level = models.CharField(max_length=8, choices=LEVELS)
    rank = models.PositiveSmallIntegerField()
    title = models.CharField(max_length=200)
    body = models.TextField()
    code = models.CharField(max_length=12, blank=True)
    quiet = models.BooleanField(default=False)
    cut_at = models.DateTimeField()
    next_at = models.DateTimeField()
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=100, blank=True)
    last_error = models.TextField(blank=True)
    delivered_at = models.DateTimeField(null=True)
    given_up_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-cut_at", "-pk"]
        verbose_name_plural = "deliveries"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(alert__isnull=False, drill=None) & ~models.Q(occasion="drill")
                | models.Q(alert=None, drill__isnull=False, occasion="drill") & ~models.Q(code=""),
                name="a_message_is_of_an_alert_or_a_drill",
            ),
            models.CheckConstraint(
                condition=models.Q(state="waiting", delivered_at=None, given_up_at=None)
                | models.Q(state="delivered", delivered_at__isnull=False, given_up_at=None)
                | models.Q(state="given up", delivered_at=None, given_up_at__isnull=False),
                name="a_message_waits_or_is_done",
            ),
            models.UniqueConstraint(fields=["code"], condition=~models.Q(code=""), name="a_code_is_of_one_message"),
        ]
        indexes = [
            models.Index(
                fields=["route", "rank", "next_at"], condition=models.Q(state="waiting"), name="waiting_messages"
            )
        ]
        triggers = [
            pgtrigger.Protect(name="message_no_delete", operation=pgtrigger.Delete),
            pgtrigger.Trigger(
                name="message_moves", operation=pgtrigger.Update, when=pgtrigger.Before, func=OUTBOX_MOVES
            ),
        ]

    def __str__(self) -> str:
        return f"{self.occasion} by {self.route}: {self.state}"


class DrillAnswer(models.Model):
    """Somebody who received a message of a drill says so, by the code that stood in it. Once for each message."""

    delivery = models.OneToOneField(Delivery, on_delete=models.PROTECT, related_name="answer")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ["at", "pk"]
        triggers = [*APPEND_ONLY]

    def __str__(self) -> str:
        return f"received by {self.person} at {self.at:%H:%M:%S}"


RouteChange = Route.pgh_event_model  # type: ignore[attr-defined]  # made by pghistory: who, when, what it then was
