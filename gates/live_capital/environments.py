"""Live or practice: what the target's description says must be what the host and the account's own answers say. Pure.

OANDA v20 has one host for each environment, and an account id tells the site it was opened at as its first part
(`{siteID}-{divisionID}-{userID}-{accountNumber}`): 001 is the site of real money, 101 that of practice.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

LIVE, PRACTICE = "live", "practice"
SIMULATED = "simulator posing as live"  # the rehearsal target's own word; nobody else's may have it
HOSTS = {"api-fxtrade.oanda.com": LIVE, "api-fxpractice.oanda.com": PRACTICE}
SITES = {"001": LIVE, "101": PRACTICE}


class WrongEnvironmentError(ValueError):
    """Description, host and account do not agree on whether this is real money; the sentence says what to correct."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a target trades: what its description calls it, the address and account, and whose target it is."""

    declared: str
    url: str
    account_id: str
    is_rehearsal: bool


def demand_place(place: Place) -> None:
    """Raise WrongEnvironmentError unless the address is the declared environment's; nothing has been sent yet."""
    if place.declared == SIMULATED:
        if not place.is_rehearsal or not _is_loopback(place.url):
            raise WrongEnvironmentError("Only the rehearsal target may have a simulator on this machine pose as live.")
        return
    if place.declared not in (LIVE, PRACTICE):
        raise WrongEnvironmentError(
            f'[live.broker] environment is {place.declared[:40]!r}: write "live" or "practice", to be compared.'
        )
    parts = urlsplit(place.url)
    host = parts.hostname or ""
    found = HOSTS.get(host)
    if found is None:
        raise WrongEnvironmentError(
            f"{host or 'The address'} is no host of a {place.declared} account: use "
            f"{next(name for name, kind in HOSTS.items() if kind == place.declared)}."
        )
    if found != place.declared:
        raise WrongEnvironmentError(
            f"The target's description says {place.declared}, and {host} is the {found} host: correct one of them."
        )
    if parts.scheme != "https" or (parts.port or 443) != 443:
        raise WrongEnvironmentError(f"A token is sent to {host} over https only: write https://{host}.")


def demand_account(place: Place, answered_id: str, readable_ids: Iterable[str]) -> None:
    """Raise WrongEnvironmentError unless the account's own answers are those of the declared environment.

    `answered_id` is what the account calls itself, `readable_ids` are all accounts that the token may read.
    """
    wanted = LIVE if place.declared == SIMULATED else place.declared
    ids = tuple(readable_ids)
    if answered_id != place.account_id or place.account_id not in ids:
        raise WrongEnvironmentError(
            f"The broker answers for account {answered_id or 'none'}, not for {place.account_id}: "
            "correct the account or the token."
        )
    for account_id in (answered_id, *ids):
        found = SITES.get(account_id.partition("-")[0])
        if found is None:
            raise WrongEnvironmentError(
                f"Account {account_id} does not say whether it is live or practice: 001 or 101 should come first in it."
            )
        if found != wanted and (account_id == answered_id or place.declared != SIMULATED):
            raise WrongEnvironmentError(
                f"The target's description says {wanted}, and the token reads account {account_id}, which is {found}: "
                "set the token of the account that is meant."
            )


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
