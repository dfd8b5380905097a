"""Scenario 1: the target is killed at every message of a trade open, also with its database connection left half open.

A dead client's session can hold its locks for hours where nobody looks after it (TCP keepalive: 2 h by default). The
longest recoveries are of such kills, inside a transaction: they last until the server itself ends the dead session, by
the target's `idle_in_transaction_session_timeout` (10 s of the bundled desk), and not by anything it polls.
"""

from gates.chaos.messages import Channel, Strike
from gates.chaos.scenarios.scenario import KILLS, Aim, Scenario, on, requests

KILL_DURING_TRADE_OPEN = Scenario(
    name="kill_during_trade_open",
    title="Kill during trade open",
    operations=("open",),
    aims=(*KILLS, Aim(Strike.KILL_BEFORE, on(Channel.LEDGER, requests), half_open=True)),
)
