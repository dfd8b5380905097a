"""What a strike left on a machine that never comes back, said by a person to be undone: no worker can ever look."""

import asyncio
from datetime import datetime

import psycopg
from django.contrib.auth.models import User
from django.utils import timezone

from gates.chaos.cells.processes import NotOursError
from gates.chaos.engine import healing, posts, work
from gates.chaos.engine.healing import CannotHealError
from gates.models import Heal
from gates.storable import storable
from gates.targets.access import TargetUnreachableError

MOST_CHARACTERS = 4000


class NotUndoneError(Exception):
    """It is not for a person to say so, or not yet; the message says why and what to do."""


def undo_by_hand(heal_id: int, *, how: str, person: User, now: datetime) -> str:
    """Note that a person has undone it, and drop its database where that can be done from here, with all that its
    engine has made there besides: no sweep of another machine's may.

    What is seen to be still there is nobody's word to give: a process of this machine must have ended. Returns what
    became of the database, in a sentence. Raises NotUndoneError; an unknown heal raises Heal.DoesNotExist.
    """
    heal = Heal.objects.select_related("crash_point__scenario__run__campaign__target").get(pk=heal_id)
    words = storable(how).strip()[:MOST_CHARACTERS]
    _demand_left(heal, words, now)
    try:
        asyncio.run(healing.end_target(heal.what))
    except (OSError, NotOursError, CannotHealError) as error:
        raise NotUndoneError(f"It is not undone: {error}") from error
    became = f"{_database(heal)} {_others(heal, now)}".strip()
    noted = Heal.objects.filter(pk=heal.pk, healed_at=None).update(
        healed_at=timezone.now(),  # behind what was done since `now`
        healed_by="by hand",
        undone_by=person,
        undone_how=f"{words}\n\n{became}".strip(),
    )
    if not noted:
        raise NotUndoneError(f"A worker has just undone {heal}: nothing is left to say.")
    return became


def _demand_left(heal: Heal, words: str, now: datetime) -> None:
    """Raises NotUndoneError."""
    if heal.healed_at is not None:
        raise NotUndoneError(f"{heal} was undone at {heal.healed_at:%H:%M:%S}: nothing is left to say.".capitalize())
    if heal.due_at >= now or work.is_followed(heal, now):
        raise NotUndoneError("Whoever made the strike still follows it, and undoes it: wait for the critical alert.")
    if not words:
        raise NotUndoneError("Say how it was undone: which machine is gone, and how you know that nothing runs on.")


def _database(heal: Heal) -> str:
    """Drop it; a server that is gone as well needs a person's word for it too."""
    database = heal.what.get("database")
    if not database:
        return ""
    try:
        asyncio.run(healing.drop_database(heal.what, heal.crash_point.scenario.run.campaign.target.spec))
    except (OSError, psycopg.Error, TargetUnreachableError, CannotHealError) as error:
        return f"Its database {database} could not be dropped from here: {str(error)[:400]}"
    return f"Its database {database} is dropped."


def _others(heal: Heal, now: datetime) -> str:
    """Drop what its engine has left besides, the copies that it began from say, unless it is seen at work."""
    if not heal.what.get("database") or posts.is_at_work(str(heal.what.get("engine", "")), now):
        return ""
    try:
        count = asyncio.run(healing.drop_others(heal.what, heal.crash_point.scenario.run.campaign.target.spec))
    except (OSError, psycopg.Error, TargetUnreachableError, CannotHealError):
        return ""
    return f"All else that its engine had made there is dropped too: {count}." if count else ""
