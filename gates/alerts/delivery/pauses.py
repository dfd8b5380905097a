"""How long to wait after a try that failed, and when to give up. Pure."""

from datetime import timedelta

FIRST = timedelta(seconds=1)
LONGEST = timedelta(minutes=10)
MOST_ATTEMPTS = 24  # about two and a half hours


def pause(attempts: int, spread: float) -> timedelta | None:
    """Return the pause after so many tries (1 or more), or None to give up.

    It doubles up to ten minutes; `spread` in [0, 1) makes it longer by up to a quarter, so that messages which failed
    together do not come back together.
    """
    if attempts >= MOST_ATTEMPTS:
        return None
    return min(LONGEST, FIRST * 2 ** min(attempts - 1, 20)) * (1 + spread / 4)
