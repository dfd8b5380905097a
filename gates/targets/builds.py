"""The fingerprint of what is tested, as the description says how to learn it: a command, an address, a fixed value."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

from audits.sources.tls import trusted
from gates.targets.bounded import run_bounded
from gates.targets.secrets import TargetUnreachableError, resolved

LIMIT_S = 10.0
MOST_CHARACTERS = 200
MOST_BYTES = 64 * 1024


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


def _printed(argv: list[str]) -> str:
    ran = run_bounded(argv, LIMIT_S)
    if ran.code != 0:
        raise BuildUnknownError(f"The build's command {ran.words}.")
    return ran.printed


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
