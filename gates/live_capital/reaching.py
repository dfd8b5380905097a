"""How gate 4 reaches a target: `[live]` of its description, laid over what gates 1 to 3 used, and what the broker says.

[live.broker]
environment = "live"                       # or "practice"; compared with the host and the account's own answers
url = "https://api-fxtrade.oanda.com"
account = "env:OANDA_LIVE_ACCOUNT_ID"
token = "env:OANDA_LIVE_API_KEY"
[live.process]
health = "http://127.0.0.1:8010/health"
stop = ["systemctl", "stop", "fx-desk"]    # what "stop" runs, without a shell; optional
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from audits.sources.oanda import OandaReader
from audits.transactions import exact, number_of, required
from gates.live_capital.environments import Place, demand_account, demand_place
from gates.targets.access import Access, TargetUnreachableError, access, resolved

SECTIONS = ("ledger", "broker", "process")
STOP_WORDS = 50


@dataclass(frozen=True, slots=True)
class Opened:
    """What a live account says of itself at one moment."""

    account_id: str
    currency: str
    balance: Decimal
    nav: Decimal
    last_transaction_id: int


def live_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description that gate 4 uses: each section with what `[live]` says of it laid over."""
    live = spec.get("live")
    live = live if isinstance(live, Mapping) else {}
    return {name: {**(spec.get(name) or {}), **(live.get(name) or {})} for name in SECTIONS}


def live_access(spec: Mapping[str, Any]) -> Access:
    """Resolve how gate 4 reaches the target, and see that the address is the declared environment's.

    Raises TargetUnreachableError, WrongEnvironmentError.
    """
    reach = access(live_spec(spec) | {"build": spec.get("build") or {}})
    demand_place(place_of(spec, reach))
    return reach


def place_of(spec: Mapping[str, Any], reach: Access) -> Place:
    """Return what the description says of where the target trades in gate 4."""
    broker = live_spec(spec)["broker"]
    is_rehearsal = str(broker.get("url", "")).startswith("rehearsal:")
    return Place(str(broker.get("environment") or ""), reach.broker_url, reach.broker_account, is_rehearsal)


def reader_of(reach: Access) -> OandaReader:
    """Return the reader of the live account, which can only ask; close it."""
    return OandaReader(reach.broker_url, reach.broker_account, reach.broker_token)


def look(spec: Mapping[str, Any], reach: Access) -> Opened:
    """Ask the account who it is, and see that it is what the description says.

    Raises WrongEnvironmentError, and the broker's errors.
    """
    with reader_of(reach) as broker:
        ids = [str(account.get("id")) for account in broker.accounts()]
        account = broker.summary()
    demand_account(place_of(spec, reach), str(account.get("id") or ""), ids)
    return Opened(
        account_id=required(account, "id"),
        currency=required(account, "currency"),
        balance=exact(account, "balance") or Decimal(0),
        nav=exact(account, "NAV") or Decimal(0),
        last_transaction_id=number_of({"id": required(account, "lastTransactionID")}),
    )


def stop_command(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the words of the target's stop command; none where its description has none.

    Raises TargetUnreachableError for a text: a shell would have to take it apart.
    """
    words = live_spec(spec)["process"].get("stop")
    if words is None:
        return ()
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) and word for word in words):
        raise TargetUnreachableError('[live.process] stop is no list of words: write ["systemctl", "stop", "fx-desk"].')
    if not 1 <= len(words) <= STOP_WORDS:
        raise TargetUnreachableError(f"[live.process] stop has {len(words)} words: give 1 to {STOP_WORDS}.")
    return tuple(resolved(word, "[live.process] stop") for word in words)
