"""Celery's side: four thin tasks that carry ids. Each ends in seconds and may run twice."""

import os
import socket

from celery import shared_task
from django.utils import timezone

from gates import commands, engine, liveness, reports, stepping
from gates.ledger_audit.starting import attend

WORKER = f"{socket.gethostname()}:{os.getpid()}"


@shared_task
def tick() -> None:
    """Find what is due and have one step of each done; close what is over."""
    now = timezone.now()
    engine.beat("tick", now)
    liveness.watch(now)
    for slot_id in engine.due_slots(now):
        step.apply_async((slot_id,), expires=30)
    attend(now)
    engine.close_holes(now)
    for run in engine.finished_runs():
        close.delay(run.pk)
    for run_id in reports.missing():
        write_report.delay(run_id)


@shared_task
def step(slot_id: int) -> None:
    """Claim one slot and do its check."""
    stepping.step(slot_id, worker=WORKER)


@shared_task
def close(run_id: int) -> None:
    """Close a run of which no slot is due."""
    commands.close_run(run_id, timezone.now())


@shared_task
def write_report(run_id: int) -> None:
    """Write the report of a closed run that has none."""
    reports.write(run_id, timezone.now())
