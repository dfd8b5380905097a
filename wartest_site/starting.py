"""Starting gate 1 from a terminal, once the target answers."""

import time
from functools import partial

from django.utils import timezone

from gates import commands
from gates.models import Run, Target

ANSWER_S = 10
PAUSE_S = 0.5


def start_once_it_answers(target: Target, profile: str, *, whole: bool = False, because: str = "") -> Run:
    """Start a campaign; a target that has just been started gets a little time to answer. Raises CannotStartError."""
    start = partial(
        commands.start_campaign, target, profile=profile, started_by=None, whole=whole, repeat_reason=because
    )
    ends = time.monotonic() + ANSWER_S
    while True:
        try:
            return start(now=timezone.now())
        except commands.TargetIllError:
            if time.monotonic() > ends:
                raise
            time.sleep(PAUSE_S)
