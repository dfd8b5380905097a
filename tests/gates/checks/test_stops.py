"""Stops of one window are read by the broker's clock: one that it is not over by is no evidence."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from audits.verdicts import Verdict
from gates.checks import stops
from gates.live_capital import checks
from gates.live_capital.plans import LivePlan, live_plan_for
from gates.targets.access import Access
from tests.audits.answers import answering, as_json

REACH = Access("", "wartest", "", "101-1", "token", "")


class Flat:
    """An account that holds nothing, at a broker whose answers are dated by its own clock."""

    def __init__(self, date):
        self.answered_at = date

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def transactions(self, since_id=0):
        return [{"id": "1", "type": "CREATE"}] if since_id == 0 else []


@pytest.mark.parametrize(
    ("ahead_s", "verdict", "whole"),
    [(0, Verdict.PASSED, True), (2, Verdict.PASSED, True), (60, Verdict.INCONCLUSIVE, False)],
)
def test_an_hour_without_a_stop_passes_gate_4_only_once_it_is_over_by_the_brokers_clock(
    monkeypatch, ahead_s, verdict, whole
):
    now = datetime.now(UTC).replace(microsecond=0)
    end = now - timedelta(seconds=3)  # looked at after its delay, by the portal's clock
    monkeypatch.setattr(stops, "OandaReader", lambda *_: Flat(now - timedelta(seconds=ahead_s)))
    monkeypatch.setattr(LivePlan, "stored", lambda _: live_plan_for("smoke"))
    slot = SimpleNamespace(run=SimpleNamespace(plan=None), window_start=end - timedelta(hours=1), window_end=end)
    outcome = checks.check_stops(slot, REACH)
    assert (outcome.verdict, outcome.measured["whole"]) == (verdict, whole)


def test_the_reader_keeps_the_date_of_the_newest_answer():
    with answering(lambda path, query: as_json({"account": {"lastTransactionID": "1"}})) as broker:
        reader = stops.OandaReader(broker.url, "101-1", "token")
        with reader:
            before = datetime.now(UTC) - timedelta(seconds=1)
            reader.summary()
            assert reader.answered_at is not None
            assert before <= reader.answered_at <= datetime.now(UTC)
