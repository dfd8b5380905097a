"""What a recovery that was recorded means for the strike that it recovers from."""

import asyncio
from collections import Counter

import pytest

from audits.verdicts import Verdict
from gates.chaos.baseline import Recording, baseline
from gates.chaos.engine import deepening
from gates.chaos.messages import Point, Strike
from gates.chaos.strikes.clean_runs import NotSteadyError
from gates.chaos.strikes.recovery import Result
from gates.chaos.strikes.second_strikes import Recovery
from gates.chaos.trials import Trial

SILENT = Recovery("a", baseline([Recording((), Counter())] * 2), asked=True)


@pytest.mark.parametrize(
    ("found", "silent", "verdict"), [(SILENT, True, "passed"), (NotSteadyError("never twice"), False, "inconclusive")]
)
def test_only_a_recovery_that_was_shown_to_send_nothing_leaves_a_pass_without_second_strikes(
    monkeypatch, found, silent, verdict
):
    async def recorded(*_):
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(deepening, "record_recovery", recorded)
    result, trial = Result(Verdict.PASSED), Trial("open", Point.parse("ledger:request:1:BEGIN"), Strike.KILL_BEFORE)
    assert asyncio.run(deepening.second_strikes(None, trial, None, result)) == []
    assert (result.silent, result.verdict) == (silent, verdict)
