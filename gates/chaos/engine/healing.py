"""Undoing what an engine has left of a strike: its experiment and its target's processes ended, its database dropped.

Safe to repeat.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import Any

import psycopg
from django.utils import timezone

from gates.alerts.raising import Event, raise_event
from gates.alerts.rechecking import HEAL
from gates.chaos.cells.ledgers import LedgerServer
from gates.chaos.cells.processes import NotOursError, end_all, end_marked
from gates.chaos.engine import work
from gates.chaos.strikes.experiments import END_LIMIT_S
from gates.models import Heal
from gates.targets.access import TargetUnreachableError, cells_ledger
from gates.workers import is_dead, is_here

log = logging.getLogger(__name__)

AT_ONCE = 4  # a tick is short; the next one goes on
MOST_LOOKED_AT = 500
UNHEALED = "unhealed fault"


class CannotHealError(Exception):
    """It cannot be undone from here; the message says why and what to do."""


def heal_left(now: datetime) -> None:
    """Carry out heals that nobody else will: of dead engines, and overdue ones whose strike is followed no more.

    Which ones first is chance, so that none that cannot be carried out keeps the others waiting.
    """
    unhealed = Heal.objects.filter(healed_at=None).select_related("crash_point__scenario__run__campaign__target")
    left = (heal for heal in unhealed.order_by("?")[:MOST_LOOKED_AT] if _is_left(heal, now))
    for heal in islice(left, AT_ONCE):
        _heal(heal, now)


def heal_own(worker: str, now: datetime) -> None:
    """Carry out the heals of this process's own strikes that broke off: it follows them no more."""
    unhealed = Heal.objects.filter(healed_at=None, what__engine=worker)
    for heal in unhealed.select_related("crash_point__scenario__run__campaign__target")[:MOST_LOOKED_AT]:
        if not work.is_followed(heal, now):
            _heal(heal, now)


def _is_left(heal: Heal, now: datetime) -> bool:
    return is_dead(_engine(heal.what)) or (heal.due_at < now and not work.is_followed(heal, now))


def _heal(heal: Heal, now: datetime) -> None:
    """Undo it, and note so; where it is overdue and cannot be undone, somebody must know."""
    run = heal.crash_point.scenario.run
    try:
        asyncio.run(_undo(heal.what, run.campaign.target.spec))
    except (OSError, psycopg.Error, TargetUnreachableError, NotOursError, CannotHealError) as error:
        log.warning("heal %s could not be carried out", heal.pk, exc_info=True)
        if heal.due_at < now:
            sentence = f"{heal} could not be undone: {str(error)[:400]}"
            event = Event(UNHEALED, "critical", sentence, heal.due_at, {"by": [HEAL], "heal": heal.pk})
            raise_event(event, target=run.campaign.target, run=run, now=now)
        return
    by = f"{socket.gethostname()}:{os.getpid()}"
    work.note_healed(heal.pk, by=by, now=timezone.now())  # to end a target takes seconds since the tick began


async def _undo(what: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
    """End its experiment, then the target by force, and all that it had started; drop its database. Proxies end with
    their engine.

    Raises CannotHealError, NotOursError, OSError, TargetUnreachableError, psycopg.Error.
    """
    engine = _engine(what)
    if engine and not is_here(engine):
        raise CannotHealError(
            f"what it left is on another machine, {engine.partition(':')[0]}, and cannot be seen from here. A worker "
            "of the portal that runs there undoes it by itself. If that machine is gone for ever, say so on the page "
            "of the crash point."
        )
    await end_target(what)
    await drop_database(what, spec)


async def end_target(what: Mapping[str, Any]) -> None:
    """End what runs of the target on this machine, and first an experiment that is made on it: asked to, it rolls back.

    Of another machine nothing can be seen.

    Raises CannotHealError, NotOursError, OSError.
    """
    engine, pid, ticks = _engine(what), what.get("target_pid"), what.get("target_started_ticks")
    if engine and not is_here(engine):
        return
    try:
        await end_marked(str(what.get("experiment_mark") or ""), limit_s=END_LIMIT_S)
        if pid is not None and ticks is not None:
            await end_all((pid, ticks), str(what.get("target_mark") or ""))
    except TimeoutError as error:
        words = f"process {pid}, or what was started with it, outlives a kill: end it by hand, or restart that machine."
        raise CannotHealError(words) from error


async def drop_database(what: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
    """Drop its database, if it had one. Raises CannotHealError, OSError, TargetUnreachableError, psycopg.Error."""
    if what.get("database"):
        await _server_of(what, spec).drop(str(what["database"]))


async def drop_others(what: Mapping[str, Any], spec: Mapping[str, Any]) -> int:
    """Drop what its engine, of a machine that is gone, has made besides its database; how many.

    Raises as `drop_database`.
    """
    return len(await _server_of(what, spec).drop_others_of(str(what["database"])))


def _server_of(what: Mapping[str, Any], spec: Mapping[str, Any]) -> LedgerServer:
    """The server on which the database was made. Raises CannotHealError where the description names another by now."""
    server = LedgerServer(cells_ledger(spec))
    made_on = what.get("server") or server.address  # a heal of before servers were written down
    if made_on != server.address:
        raise CannotHealError(
            f"its database {what['database']} is on {made_on}, and the target's description names {server.address} by "
            "now. Let the description name that server again until it is undone."
        )
    return server


def _engine(what: Mapping[str, Any]) -> str:
    return str(what.get("engine", ""))
