"""The `.json` twins of the pages of alerts."""

from typing import Any

from gates.alerts.pages.causes import Cause
from gates.alerts.pages.inbox import Standing
from gates.models import Alert, AlertStep, Delivery
from gates.pages.twins import finding_twin, moment, slot_twin


def line_twin(alert: Alert) -> dict[str, Any]:
    """One alert as the inbox lists it."""
    return {
        "alert": alert.pk,
        "target": alert.target.name if alert.target else None,
        "run": alert.run_id,
        "rule": alert.rule,
        "level": alert.level,
        "state": alert.state,
        "sentence": alert.sentence,
        "threshold": alert.threshold,
        "count": alert.count,
        "openings": alert.openings,
        "event_at": moment(alert.event_at),
        "raised_at": moment(alert.raised_at),
        "last_at": moment(alert.last_at),
        "delivered_at": moment(alert.delivered_at),
        "deadline_at": moment(alert.deadline_at),
        "escalated_to": alert.escalated_to,
        "acknowledged_by": getattr(alert, "known_by", None),
        "resolved_at": moment(alert.resolved_at),
        "url": alert.get_absolute_url(),
    }


def standing_twin(standing: Standing) -> dict[str, int]:
    return {name: getattr(standing, name) for name in Standing.__slots__}


def step_twin(step: AlertStep) -> dict[str, Any]:
    return {
        "at": moment(step.at),
        "kind": step.kind,
        "opening": step.opening,
        "count": step.count,
        "person": step.person.get_username() if step.person else None,
        "words": step.words,
    }


def cause_twin(cause: Cause) -> dict[str, Any]:
    return {
        "slot": cause.slot and slot_twin(cause.slot),
        "finding": cause.finding and finding_twin(cause.finding),
        "gaps": [{"kind": gap.kind, "since": moment(gap.since), "sentence": gap.sentence} for gap in cause.gaps],
        "keys": cause.keys,
    }


def delivery_twin(delivery: Delivery) -> dict[str, Any]:
    """One message of the outbox; never where its route leads, nor the code of a drill."""
    return {
        "route": delivery.route.name,
        "occasion": delivery.occasion,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "cut_at": moment(delivery.cut_at),
        "next_at": moment(delivery.next_at),
        "delivered_at": moment(delivery.delivered_at),
        "last_error": delivery.last_error,
    }
