"""A portal with alerts of each kind: open and overdue, in time, acknowledged, resolved, of the portal itself."""

from datetime import UTC, datetime, timedelta

from django.contrib.auth.models import Group, User

from audits.findings import Finding, Level
from audits.verdicts import Verdict
from gates import engine, roles
from gates.alerts.commands import acknowledge
from gates.alerts.delivery.routes import Wanted, add_route
from gates.alerts.raising import Event, raise_alert, raise_event, resolve
from gates.checks.outcome import Outcome
from gates.models import Alert, Beat, Delivery, Stream, StreamGap, StreamLease
from gates.streams.lease import NAME
from tests.gates.cast import a_run

EVIL = "<script>alert(1)</script> \u202egnp.exe \x1b[31m \u05d0\u05d1"
PASSWORD = "a long enough password"


def person(name: str, role: str | None) -> User:
    """Return somebody with a role, or without any."""
    roles.make_groups()
    user = User.objects.create_user(name, password=PASSWORD)
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user


def staged(engineer: User) -> dict[str, Alert]:
    """Return the alerts by what they are."""
    now = datetime.now(UTC)
    run = a_run(start=now - timedelta(seconds=15), spec={"alerts": {"stop_latency_ms": 250}})
    Beat.objects.update_or_create(kind="tick", defaults={"last_at": now})
    add_route(Wanted("night phone", "env:NIGHT_PHONE", ("critical", "high")), now)
    add_route(Wanted("mail", "env:MAIL_OF_THE_DESK", ("critical", "high", "medium")), now)
    slot = run.slots.filter(check_name="integrity").order_by("due_at").first()
    mine = engine.claim(slot.pk, worker="a", now=slot.due_at)
    found = Finding(
        "balance_chain",
        Level.CRITICAL,
        f"Event 118 of {EVIL} does not start where 117 ended.",
        expected="100012.4400",
        measured="100012.4300",
        difference="-0.0100",
        where={"event_id": "118"},
    )
    engine.record(mine, Outcome(Verdict.FAILED, "One finding.", {}, (found,)), started_at=slot.due_at, now=now)
    missed = raise_alert(
        run,
        rule="missed SL/TP trigger",
        level="critical",
        sentence="The bid 1.0970 reached stop 1.0990 of trade 7.",
        event_at=now - timedelta(milliseconds=240),
        now=now,
        cause={"order_id": "9"},
        threshold="executed within 5 s",
    )
    slow = raise_alert(
        run,
        rule="SL/TP latency > 100 ms",
        level="high",
        sentence="Stop 11 was executed in 412 ms.",
        event_at=now - timedelta(minutes=2),
        now=now - timedelta(minutes=2),
        threshold="at most 100 ms",
        times=14,
    )
    busy = raise_alert(
        run,
        rule="resource use > 80 %",
        level="medium",
        sentence="Processor time 93 % for 10 s.",
        event_at=now - timedelta(hours=1),
        now=now - timedelta(hours=1),
    )
    acknowledge(busy.pk, person=engineer, words="The nightly backup; it ends at two.", now=now)
    before = raise_event(
        Event("missed SL/TP trigger", "critical", "An earlier one.", now - timedelta(days=3, seconds=9)),
        target=run.campaign.target,
        run=None,
        now=now - timedelta(days=3),
    )
    resolve(before.pk, rechecked_at=now - timedelta(days=2), words="Executed in 80 ms.", now=now - timedelta(days=2))
    ours = raise_event(
        Event("part of the portal stopped", "high", "The process streams shows no pulse.", now),
        target=None,
        run=None,
        now=now,
    )
    sent = Delivery.objects.filter(alert=missed, route__name="mail").get()
    Delivery.objects.filter(pk=sent.pk).update(state="delivered", attempts=1, delivered_at=now)
    Alert.objects.filter(pk=missed.pk).update(delivered_at=now)
    refused = Delivery.objects.filter(alert=missed, route__name="night phone")
    refused.update(attempts=3, last_error="The receiver answered 500 <b>no</b>.")
    StreamLease.objects.create(name=NAME, holder="here:1:1", lease_until=now + timedelta(hours=1))
    Stream.objects.create(run=run, kind="prices", state="connected", last_line_at=now, lines=4711)
    Stream.objects.create(run=run, kind="transactions", reason="the broker refused the connection", last_id=77)
    gap = {"run": run, "since": now - timedelta(seconds=4), "until": now}
    StreamGap.objects.create(kind="prices", repaired=False, sentence="no price for 4.0 s.", **gap)
    StreamGap.objects.create(
        kind="transactions", repaired=True, first_id=70, last_id=77, sentence="transactions 70 to 77, read again", **gap
    )
    balance = Alert.objects.get(rule="balance_chain")
    rows = {"missed": missed, "slow": slow, "busy": busy, "before": before, "ours": ours, "balance": balance}
    for row in rows.values():
        row.refresh_from_db()
    return rows
