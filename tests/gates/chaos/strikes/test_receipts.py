"""A target that waits for an answer that never comes: how long a stall must last to show it."""

import pytest

from gates.chaos.messages import Receipt, Strike
from gates.chaos.scenarios.slow_network_responses import HALF_OPEN_MS
from gates.chaos.strikes.receipts import waited_for_ever
from gates.chaos.strikes.settling import RECOVERY_LIMIT_S

STALL_MS = 4_000


def receipt(strike, stall_ms, *, hung_up):
    return Receipt(strike, None, 0.0, {"stall_ms": stall_ms, "target_hung_up": hung_up})


def test_a_half_open_connection_is_silent_for_as_long_as_a_recovery_may_take():
    assert HALF_OPEN_MS == RECOVERY_LIMIT_S * 1000
    assert HALF_OPEN_MS > STALL_MS


@pytest.mark.parametrize(
    ("seen", "for_ever"),
    [
        (receipt(Strike.STALL, HALF_OPEN_MS, hung_up=False), True),
        (receipt(Strike.STALL, HALF_OPEN_MS, hung_up=True), False),
        (receipt(Strike.STALL, STALL_MS, hung_up=False), False),
        (Receipt(Strike.RESET, None, 0.0, {}), False),
        (None, False),
    ],
)
def test_only_who_never_hangs_up_on_it_waits_for_ever(seen, for_ever):
    assert waited_for_ever(seen) is for_ever
