"""Celery's side: seven thin tasks that carry ids or nothing. Each ends in seconds and may run twice."""

import logging
from collections.abc import Callable
from datetime import datetime

from celery import shared_task
from django.utils import timezone

from gates import commands, engine, liveness, reports, stepping
from gates.alerts import rechecking, reminding
from gates.campaigns import moving, pauses, reporting
from gates.chaos.engine import starting as chaos
from gates.evidence.keys import SigningKeyError
from gates.incidents import proving
from gates.incidents.commands import open_missing
from gates.ledger_audit import retention
from gates.ledger_audit import starting as audits
from gates.live_capital import auditing as live_audits
from gates.live_capital import months
from gates.signoff import watching as signatures
from gates.workers import identity

log = logging.getLogger(__name__)

WAKE_UP_S = 5  # an older one is of no use: each tick sends new ones for what is still to do
STEPPING_S = 3.0


@shared_task
def tick() -> None:
    """Find what is due and have one step of each done; close what is over. What fails is left to the next tick."""
    now = timezone.now()
    pauses.note_pause(now)
    engine.beat("tick", now)
    pulse.apply_async(expires=WAKE_UP_S)
    for part in PARTS:
        try:
            part(now)
        except Exception:
            log.exception("tick: %s.%s", part.__module__, part.__name__)


def _send_wake_ups(now: datetime) -> None:
    for _ in range(engine.wake_ups(now)):
        step.apply_async(expires=WAKE_UP_S)


def _send_ends(now: datetime) -> None:
    for run in engine.finished_runs():
        close.apply_async((run.pk,), expires=WAKE_UP_S)
    for run_id in reports.missing():
        write_report.apply_async((run_id,), expires=WAKE_UP_S)


def _send_months(now: datetime) -> None:
    for live_id in months.to_begin():
        begin_month.apply_async((live_id,), expires=WAKE_UP_S)


def _send_moves(now: datetime) -> None:
    moving.advance(now, lambda campaign_id: move_campaign.apply_async((campaign_id,), expires=WAKE_UP_S))
    for campaign_id in reporting.unreported():
        write_campaign_report.apply_async((campaign_id,), expires=WAKE_UP_S)


@shared_task
def pulse() -> None:
    """Show that the worker that does the checks lives."""
    engine.beat("worker", timezone.now())


PARTS: tuple[Callable[[datetime], object], ...] = (
    liveness.watch,
    rechecking.recheck,
    engine.free_claims_of_the_dead,
    _send_wake_ups,
    audits.attend,
    chaos.attend,
    live_audits.attend,
    months.close_broken,
    months.leave_stages,
    engine.close_holes,
    _send_ends,
    _send_months,
    _send_moves,
    signatures.attend,
    open_missing,
    reminding.attend,
    proving.attend,
    retention.tidy,
)


@shared_task
def step() -> None:
    """Do the checks of slots that are due, one after another, for a few seconds."""
    engine.beat("worker", timezone.now())
    stepping.step_for(STEPPING_S, worker=identity())


@shared_task
def close(run_id: int) -> None:
    """Close a run of which no slot is due."""
    commands.close_run(run_id, timezone.now())


@shared_task
def move_campaign(campaign_id: int) -> None:
    """Look at a campaign's target and move the campaign on."""
    moving.step(campaign_id, timezone.now())


@shared_task
def begin_month(live_id: int) -> None:
    """Open the month of gate 4 that follows a broken one, at day 1."""
    months.begin_again(live_id, timezone.now())


@shared_task
def write_report(run_id: int) -> None:
    """Write the report of a closed run that has none; without the signing key it waits, and a later tick asks again."""
    try:
        reports.write(run_id, timezone.now())
    except SigningKeyError as error:
        log.error("The report of run %s waits: %s", run_id, error)


@shared_task
def write_campaign_report(campaign_id: int) -> None:
    """Write the report on gates 1 to 3 of a campaign that has come to their end."""
    try:
        reports.write_campaign(campaign_id, timezone.now())
    except SigningKeyError as error:
        log.error("The report of campaign %s waits: %s", campaign_id, error)
