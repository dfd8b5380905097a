"""A reader of the portal's pages who signs in as a person does: by the form, over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from wartest_site.embedded.children import CannotStartError

ANSWER_LIMIT_S = 10.0
MOST_PAGES = 50


@contextmanager
def signed_in(url: str, name: str, password: str) -> Iterator[httpx.Client]:
    """Sign in at `url` and out at the end. Raises CannotStartError where the portal does not let us in."""
    with httpx.Client(base_url=url, timeout=ANSWER_LIMIT_S, trust_env=False) as reader:
        reader.get("/account/login/").raise_for_status()
        form = {"login": name, "password": password, "csrfmiddlewaretoken": reader.cookies["csrftoken"]}
        answer = reader.post("/account/login/", data=form, headers={"Referer": url})
        if answer.status_code != httpx.codes.FOUND:
            raise CannotStartError(f"The portal at {url} did not let {name} in: it answered {answer.status_code}")
        yield reader


def inbox(reader: httpx.Client, state: str = "all") -> dict[int, dict[str, Any]]:
    """Return every alert that the inbox lists, by its number, as its JSON twin tells it."""
    listed: dict[int, dict[str, Any]] = {}
    for number in range(1, MOST_PAGES + 1):
        answer = reader.get("/alerts.json", params={"state": state, "page": number})
        answer.raise_for_status()
        told = answer.json()
        listed |= {each["alert"]: each for each in told["alerts"]}
        if number >= told["pages"]:
            break
    return listed
