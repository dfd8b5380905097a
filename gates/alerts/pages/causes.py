"""From an alert to what it rests on: the slot, the finding, the streams of that time, the keys that are left."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from gates.models import Alert, Finding, Slot, Stream, StreamGap

BESIDE = timedelta(minutes=1)
MOST_GAPS = 20
MOST_KEYS = 40
LEADING = ("slot", "finding", "where")


@dataclass(frozen=True, slots=True)
class Cause:
    """What an alert names; each part is there only where the alert leads to it."""

    slot: Slot | None
    finding: Finding | None
    audited: bool
    streams: list[Stream]
    gaps: list[StreamGap]
    keys: dict[str, Any]


def cause_of(alert: Alert) -> Cause:
    """Return what the alert rests on, from its keys; a key that leads nowhere is shown as it stands."""
    keys = alert.cause if isinstance(alert.cause, dict) else {"cause": alert.cause}
    slot = _row(Slot.objects.select_related("run", "result"), keys.get("slot"))
    finding = _row(Finding.objects.select_related("run", "slot"), keys.get("finding"))
    if finding is None and slot is not None:
        finding = slot.findings.filter(rule=alert.rule).select_related("run", "slot").order_by("pk").first()
    where = keys.get("where")
    rest = {name: value for name, value in keys.items() if name not in LEADING}
    rest |= where if isinstance(where, dict) else {}
    if isinstance(by := rest.pop("by", None), list):
        rest["seen_by"] = ", ".join(map(str, by[:MOST_KEYS]))
    return Cause(
        slot=slot,
        finding=finding,
        audited=finding is not None and finding.run.gate == 3,
        streams=list(Stream.objects.filter(run=alert.run)) if alert.run else [],
        gaps=_gaps(alert),
        keys=dict(list(rest.items())[:MOST_KEYS]),
    )


def _row(rows: Any, key: Any) -> Any:
    """The row with this number, or none: what stands in a cause was written by others."""
    number = str(key)
    return rows.filter(pk=int(number)).first() if number.isascii() and number.isdigit() and len(number) < 18 else None


def _gaps(alert: Alert) -> list[StreamGap]:
    """Gaps of the run's streams around the event: what was not heard then."""
    if alert.run is None:
        return []
    near = StreamGap.objects.filter(
        run=alert.run, since__lte=alert.event_at + BESIDE, until__gte=alert.event_at - BESIDE
    )
    return list(near[:MOST_GAPS])
