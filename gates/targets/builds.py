"""The fingerprint of what is tested, as the description says how to learn it: a command, an address, a fixed value."""

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any

import httpx

from audits.sources.tls import trusted
from gates.targets.secrets import TargetUnreachableError, resolved

LIMIT_S = 10.0
MOST_CHARACTERS = 200
MOST_BYTES = 64 * 1024
# What a program of a target's description may see of our own environment: nothing secret.
PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR")


class BuildUnknownError(Exception):
    """The build could not be learnt; the message says why."""


def build_of(section: Mapping[str, Any]) -> str:
    """Return the build, 200 characters at most. Raises BuildUnknownError."""
    try:
        if section.get("value"):
            told = resolved(str(section["value"]), "build")
        elif section.get("command"):
            told = _printed([str(word) for word in section["command"]])
        else:
            told = _answered(resolved(str(section.get("url") or ""), "build url"))
    except TargetUnreachableError as error:
        raise BuildUnknownError(str(error)) from None
    words = told.strip().replace("\0", "")
    if not words:
        raise BuildUnknownError("The build's fingerprint is empty: let build print one line.")
    return words.splitlines()[0].strip()[:MOST_CHARACTERS]


def passed_on() -> dict[str, str]:
    """Return the part of our environment that programs of a description are given."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def _printed(argv: list[str]) -> str:
    quiet = subprocess.DEVNULL
    try:
        done = subprocess.run(  # noqa: S603  the words of the target's description, which no page can change
            argv, env=passed_on(), stdin=quiet, stdout=subprocess.PIPE, stderr=quiet, timeout=LIMIT_S, check=False
        )
    except OSError as error:
        raise BuildUnknownError(f"The build's command {argv[0]} could not be started: {error.strerror}.") from None
    except subprocess.TimeoutExpired:
        raise BuildUnknownError(f"The build's command {argv[0]} did not end within {LIMIT_S:.0f} s.") from None
    if done.returncode:
        raise BuildUnknownError(f"The build's command {argv[0]} failed with exit code {done.returncode}.")
    return done.stdout[:MOST_BYTES].decode(errors="replace")


def _answered(url: str) -> str:
    try:
        answer = httpx.get(url, timeout=LIMIT_S, trust_env=False, verify=trusted())
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise BuildUnknownError(f"The build's address does not answer ({type(error).__name__}).") from None
    if answer.status_code != httpx.codes.OK or len(answer.content) > MOST_BYTES:
        raise BuildUnknownError(f"The build's address answers {answer.status_code}, not 200 with a short text.")
    try:
        body = json.loads(answer.content)
    except ValueError:
        return answer.text
    return str(body.get("build") or "") if isinstance(body, dict) else str(body)
