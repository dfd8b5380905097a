"""A target from four variables alone: SUPABASE_URL, SUPABASE_KEY, OANDA_API_KEY and OANDA_ACCOUNT_ID.

Its books and its broker are known, its process is not: gate 3 can judge it, and the other gates say what they lack.
"""

import os
from collections.abc import Mapping
from typing import Any

NAME = "from-variables"
NEEDED = ("SUPABASE_URL", "SUPABASE_KEY", "OANDA_API_KEY", "OANDA_ACCOUNT_ID")
LIVE_SITE = "001"  # the first part of the id of an account of real money; it is only ever asked
HOSTS = {True: "https://api-fxtrade.oanda.com", False: "https://api-fxpractice.oanda.com"}


def described(variables: Mapping[str, str] = os.environ) -> dict[str, Any] | None:
    """Return the description of the target, which names the variables; None unless all four are set."""
    if not all(variables.get(name) for name in NEEDED):
        return None
    is_live = variables["OANDA_ACCOUNT_ID"].partition("-")[0] == LIVE_SITE
    return {
        "ledger": {"supabase": "env:SUPABASE_URL", "key": "env:SUPABASE_KEY", "schema": "wartest"},
        "broker": {
            "kind": "oanda",
            "url": variables.get("OANDA_URL") or HOSTS[is_live],
            "account": "env:OANDA_ACCOUNT_ID",
            "token": "env:OANDA_API_KEY",
        },
    }


def missing(variables: Mapping[str, str] = os.environ) -> list[str]:
    """Return which of the four are not set, where some are; nothing where all or none are."""
    unset = [name for name in NEEDED if not variables.get(name)]
    return unset if len(unset) < len(NEEDED) else []
