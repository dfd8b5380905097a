"""Where a route leads: `env:NAME` or `file:/PATH`, looked up at the moment of use, never kept, logged or shown."""

import os
from functools import cache
from pathlib import Path

from django.conf import settings
from dotenv import dotenv_values

MOST_BYTES = 4096


class RouteUnusableError(ValueError):
    """A route's address cannot be used; the message says why and what to do, and nothing of the address."""


def address_of(named: str) -> str:
    """Return the address that is kept under this name. Raises RouteUnusableError."""
    kind, _, name = named.partition(":")
    address = _from_environment(name) if kind == "env" else _from_file(Path(name))
    if "://" not in address:
        raise RouteUnusableError(f"{named} holds no address: write one such as mailto://… or jsons://… there.")
    return address


def _from_environment(name: str) -> str:
    value = os.environ.get(name) or _dotenv().get(name)
    if not value:
        raise RouteUnusableError(f"{name} is not set where the portal runs: set it there or in .env, and start again.")
    return value.strip()


@cache
def _dotenv() -> dict[str, str | None]:
    """The portal's `.env`, as it was when this process began."""
    file = type(settings.ENVIRONMENT).model_config.get("env_file")
    return dotenv_values(str(file), interpolate=False) if file else {}


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES).decode()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise RouteUnusableError(f"{path} cannot be read by the delivering process: {why}.") from None
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
