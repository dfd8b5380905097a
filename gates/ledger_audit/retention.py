"""Old snapshots go, if the portal's owner says after how many days; what reports name stays unless he does."""

import logging
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import F, OuterRef, Q, Subquery

from audits.verdicts import Verdict
from gates import engine
from gates.ledger_audit.filling import snapshots_folder
from gates.models import Beat, LedgerAudit, Run

log = logging.getLogger(__name__)

EVERY = timedelta(hours=1)
MOST_AT_ONCE = 10  # of each kind: a step stays short, the next one goes on
DRAFT_LIFE = timedelta(days=2)  # longer than any audit may take
SEEN = "snapshots"


def tidy(now: datetime) -> None:
    """Once an hour remove what nobody needs.

    1. Drafts that a killed process left behind, which no audit will take up again.
    2. With KEEP_SNAPSHOTS_DAYS, snapshots of audits that closed longer ago, of campaigns that are over. The last audit
       of each target that passed stays in any case: hourly looks at a large ledger go on from it.

    The audit's row keeps seal, moment and row counts; only the files go.
    """
    if Beat.objects.filter(kind=SEEN, last_at__gt=now - EVERY).exists():
        return
    engine.beat(SEEN, now)
    for folder in (*_left_drafts(now), *_outlived(now)):
        shutil.rmtree(folder, ignore_errors=True)
        log.warning("removed %s", folder)


def _left_drafts(now: datetime) -> list[Path]:
    drafts = (path for path in _listed() if path.name.startswith(".run-"))
    return [path for path in drafts if _age(path, now) > DRAFT_LIFE][:MOST_AT_ONCE]


def _outlived(now: datetime) -> list[Path]:
    days = settings.ENVIRONMENT.keep_snapshots_days
    if not days:
        return []
    last_passed = LedgerAudit.objects.filter(
        run__campaign__target=OuterRef("run__campaign__target"), run__verdict=Verdict.PASSED, only=[], since=None
    ).order_by("-run__closed_at", "-pk")
    over = LedgerAudit.objects.filter(
        run__state=Run.State.CLOSED, run__closed_at__lt=now - timedelta(days=days), run__campaign__ended_at__lt=now
    )
    needless = over.annotate(kept=Subquery(last_passed.values("pk")[:1])).filter(Q(kept=None) | ~Q(kept=F("pk")))
    there = {int(path.name.removeprefix("run-")): path for path in _listed() if path.name[4:].isdigit()}
    gone = needless.filter(run__in=there).order_by("run__closed_at").values_list("run", flat=True)[:MOST_AT_ONCE]
    return [there[run_id] for run_id in gone]


def _listed() -> Iterable[Path]:
    folder = snapshots_folder()
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _age(path: Path, now: datetime) -> timedelta:
    """How long nothing in the folder has been written."""
    moments = [path.stat().st_mtime, *(file.stat().st_mtime for file in path.iterdir())] if path.is_dir() else []
    return now - datetime.fromtimestamp(max(moments, default=now.timestamp()), UTC)
