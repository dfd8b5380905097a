"""What a description names and never holds: taken from the environment or a file at the moment of use."""

import json
import os
import stat
from pathlib import Path

from django.conf import settings

MOST_BYTES = 64 * 1024
READ_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class TargetUnreachableError(ValueError):
    """The target's description cannot be followed; the message says what to correct, and holds no secret."""


def resolved(value: str, where: str) -> str:
    """Return a text of a description with what it names by `env:`, `file:` or `rehearsal:` filled in.

    Raises TargetUnreachableError, naming `where` it stands.
    """
    source, _, name = value.partition(":")
    if source == "env":
        return _given(settings.VARIABLE(name), name, where)
    if source == "file":
        return _file(Path(name), where)
    if source == "rehearsal":
        return _given(_rehearsal().get(name), name, where)
    return value


def _given(value: str | None, name: str, where: str) -> str:
    if not value:
        raise TargetUnreachableError(f"{where} names {name}, which is not set: set it in .env where the portal runs.")
    return value


def _file(path: Path, where: str) -> str:
    """Return what a file holds, one line of it as a rule. Others than its owner must not be able to read it."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
            raise TargetUnreachableError(f"{where} names {path}, which is no file of at most 64 KiB: name another.")
        if found.st_mode & READ_BY_OTHERS:
            raise TargetUnreachableError(f"{where} names {path}, which others can read too: run chmod 600 {path}.")
        value = path.read_text().strip()
    except OSError as error:
        raise TargetUnreachableError(f"{where} names {path}, which cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise TargetUnreachableError(f"{where} names {path}, which is not a text: name another file.") from None
    if not value:
        raise TargetUnreachableError(f"{where} names {path}, which is empty: write the secret into it.")
    return value


def _rehearsal() -> dict[str, str]:
    """Return the addresses that `up` gives its children; the token stays in a variable of its own."""
    try:
        values: dict[str, str] = json.loads(os.environ.get("WARTEST_REHEARSAL_JSON", "{}"))
    except json.JSONDecodeError:
        raise TargetUnreachableError("WARTEST_REHEARSAL_JSON is not JSON: start the portal with `up`.") from None
    if not values:
        raise TargetUnreachableError("The rehearsal target is not running: start it with `uv run manage.py up`.")
    values["token"] = os.environ.get(values.get("token_env", ""), "")
    return values
