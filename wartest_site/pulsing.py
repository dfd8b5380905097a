"""Beat's own pulse: whoever sends the ticks says so, so that a stopped beat is not taken for a stopped worker."""

import logging
from typing import Any

from celery.beat import PersistentScheduler
from django.db import DatabaseError, connection
from django.utils import timezone

from gates import engine

log = logging.getLogger(__name__)


class PulsingScheduler(PersistentScheduler):
    """Celery's own scheduler, which shows a pulse each time that it has sent something."""

    def apply_async(self, *args: Any, **kwargs: Any) -> Any:
        sent = super().apply_async(*args, **kwargs)
        try:
            engine.beat("beat", timezone.now())
        except DatabaseError as error:  # a tick that was sent is a tick, whether or not its sender's pulse is seen
            log.warning("no pulse of beat: %s", str(error).splitlines()[0])
            connection.close()
        return sent
