"""The portal's own pauses: while nobody ticks nobody watches, so a long one in mid-run is a hand like any other."""

from datetime import datetime, timedelta

from gates import engine
from gates.campaigns.hands import PAUSE
from gates.models import Beat, Run

LONGEST = timedelta(seconds=60)  # a restart of the portal takes less; `watch` alarms after as much
WATCHED_GATES = (1,)  # of a month of gate 4 a pause that a look at the limits falls into is a hole: it breaks its day


def note_pause(now: datetime) -> None:
    """Write down, in each run that was to be watched meanwhile, that the last tick is too long ago; call it before the
    beat of this tick."""
    last = Beat.objects.filter(kind="tick").values_list("last_at", flat=True).first()
    if last is None or now - last <= LONGEST:
        return
    running = Run.objects.filter(
        state=Run.State.RUNNING, gate__in=WATCHED_GATES, planned_start__lt=now - LONGEST, planned_end__gt=last
    )
    for run in running.order_by("pk"):
        since = max(last, run.planned_start)
        away_s = (now - since).total_seconds()
        sentence = f"Nobody watched for {away_s:.0f} s: no tick from {since:%H:%M:%S} to {now:%H:%M:%S} UTC."
        engine.note_intervention(run, rule=PAUSE, sentence=sentence, now=now)
