"""The stage of a rehearsed gate 4: what people do by hand before real money trades, done to the bundled simulator.

It funds the account that poses as live and lets its desk trade, over the simulator's control port and the desk's own
switch, on this machine. Nothing here can reach another account: the addresses are the rehearsal's own.
"""

import time
from decimal import Decimal
from typing import Any

import httpx

from gates.targets.access import TargetUnreachableError, resolved

TIMEOUT_S = 5.0
FLAT_LIMIT_S = 30.0
PAUSE_S = 0.2
STEP = Decimal("0.0001")


def set_stage(amount: Decimal) -> None:
    """Leave the market, bring the account to `amount`, and let the desk trade.

    Raises TargetUnreachableError when the stage does not answer, or when the desk does not leave the market in time.
    """
    switch(running=False)
    account = _wait_until_flat()
    missing = (amount - Decimal(str(account["balance"]))).quantize(STEP)
    if missing:
        _asked("POST", "control_url", "/transfers", {"account_id": _place("live_account"), "amount": f"{missing:f}"})
    switch(running=True)


def switch(*, running: bool) -> None:
    """Let the desk of the account that poses as live trade, or leave the market."""
    _asked("POST", "live_desk_url", "/trading", {"running": running})


def _wait_until_flat() -> dict[str, Any]:
    ends = time.monotonic() + FLAT_LIMIT_S
    path = f"/v3/accounts/{_place('live_account')}/summary"
    while True:
        account: dict[str, Any] = _asked("GET", "broker_url", path)["account"]
        if not int(account["openTradeCount"]):
            return account
        if time.monotonic() > ends:
            raise TargetUnreachableError("The desk of the account that poses as live does not leave the market.")
        time.sleep(PAUSE_S)


def _asked(method: str, place: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {_place('token')}"}
    try:
        reply = httpx.request(
            method, _place(place) + path, json=body, headers=headers, timeout=TIMEOUT_S, trust_env=False
        )
        answer = reply.json()
    except (httpx.HTTPError, ValueError) as error:
        words = f"The rehearsal's {place.removesuffix('_url').replace('_', ' ')} does not answer {path}"
        raise TargetUnreachableError(f"{words} ({type(error).__name__}): is `up` running?") from None
    if not reply.is_success or not isinstance(answer, dict):
        raise TargetUnreachableError(f"The rehearsal's stage answered {path} with {reply.status_code}.")
    return answer


def _place(name: str) -> str:
    return resolved(f"rehearsal:{name}", "the rehearsal's stage")
