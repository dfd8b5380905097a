"""The broker's account: does it answer, is it the one that is meant, of real money or not, and what is its time?"""

from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from audits.sources import BrokerError
from audits.sources.oanda import OandaReader
from audits.sources.tls import trusted
from gates.live_capital.environments import HOSTS, LIVE, SITES
from gates.targets.access import Access
from gates.targets.pids import is_here
from gates.targets.preflight.books import clock_need
from gates.targets.preflight.need import Need, first_line

GROUP = "broker"
TIMEOUT_S = 5.0
CLOCK_LIMIT_S = 3.0  # an HTTP date is told in whole seconds


def account(access: Access) -> Iterator[Need]:
    """Look at the account, by GET requests alone."""
    try:
        with OandaReader(access.broker_url, access.broker_account, access.broker_token, attempts=1) as broker:
            summary = broker.summary()
            readable = [str(one.get("id")) for one in broker.accounts()]
    except BrokerError as error:
        yield Need(GROUP, "account answers", False, f"{first_line(error)}: correct [broker] url, account or token")
        return
    currency, balance = summary.get("currency", "?"), summary.get("balance", "?")
    yield Need(GROUP, "account answers", True, f"{access.broker_account}, {balance} {currency}")
    yield _is_it(access, str(summary.get("id") or ""), readable)
    yield environment(access.broker_url, access.broker_account)
    yield clock_need(GROUP, "the broker's clock", _time(access.broker_url), CLOCK_LIMIT_S)


def _is_it(access: Access, answered: str, readable: list[str]) -> Need:
    if answered != access.broker_account:
        words = f"it answers as {answered or 'nobody'}: correct [broker] account or token"
        return Need(GROUP, "the account that is meant", False, words)
    others = len(set(readable) - {answered})
    words = "the token reads this account alone" if not others else f"accounts that the token also reads: {others}"
    return Need(GROUP, "the account that is meant", True, words)


def environment(url: str, account_id: str) -> Need:
    """Say whether this is real money, by host and account together. Pure."""
    name = "live or practice"
    host = urlsplit(url).hostname or ""
    by_host, by_account = HOSTS.get(host), SITES.get(account_id.partition("-")[0])
    if by_host is None and is_here(host):
        return Need(GROUP, name, True, "a simulator on this machine")
    if by_host is None:
        words = f"{host} is none of {', '.join(HOSTS)}: correct [broker] url, unless it is a simulator of yours"
        return Need(GROUP, name, None, words)
    if by_account not in (None, by_host):
        words = f"{host} is the {by_host} host, and {account_id} a {by_account} account: correct one of them"
        return Need(GROUP, name, False, words)
    careful = ": it is only ever asked, by GET" if by_host == LIVE else ""
    return Need(GROUP, name, True, f"{by_host}{careful}")


def _time(url: str) -> datetime | None:
    """The broker's clock, by the Date of whatever it answers without a token."""
    try:
        answer = httpx.get(url, timeout=TIMEOUT_S, trust_env=False, verify=trusted())
        return parsedate_to_datetime(answer.headers["date"])
    except (httpx.HTTPError, httpx.InvalidURL, KeyError, ValueError):
        return None
