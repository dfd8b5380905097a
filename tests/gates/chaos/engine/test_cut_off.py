"""An experiment whose engine died, or lost hold of it: nobody has seen its rollbacks, and no pass hides that."""

from types import SimpleNamespace

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

from audits.verdicts import Verdict
from gates.chaos.baseline import CrashPoint as Place
from gates.chaos.engine import running, work
from gates.chaos.engine.journal import Rows
from gates.chaos.messages import Channel, Direction, Point
from gates.chaos.scenarios.own import own_scenarios
from gates.chaos.strikes.recovery import Result
from gates.models import ChaosRun, CrashPoint, Heal
from gates.workers import identity
from tests.gates.chaos.runs import started

BEGIN = Place(Point(Channel.LEDGER, Direction.REQUEST, "BEGIN", 1), "ledger: BEGIN", 0)
PAUSED = {"name": "paused", "operation": "open", "experiment": "/srv/desk/pause.json", "limit_ms": 20_000}


@pytest.fixture
def second_attempt(desk_target, monkeypatch):
    """An engine, and the row of an experiment that it has taken for the second time and would pass."""
    desk_target.spec |= {"scenarios": [PAUSED]}
    desk_target.save()
    run = started(desk_target, "paused")
    (scenario,) = own_scenarios(desk_target.spec)
    ((place, trial),) = scenario.trials("open", (BEGIN,))
    fields = {"operation": "open", "point": str(place.point), "label": place.label, "position": place.position}
    fields |= {"strike": trial.strike, "parameters": dict(trial.parameters), "fault": trial.fault}
    row = CrashPoint.objects.create(scenario=run.scenarios.get(), number=1, attempt=1, **fields)

    async def nothing(*args):
        return None

    async def struck(*args):
        return Result(Verdict.PASSED)

    monkeypatch.setattr(running, "prepare", nothing)
    monkeypatch.setattr(running, "try_until_struck", struck)
    monkeypatch.setattr(running.Engine, "_clean", nothing)
    chaos = ChaosRun.objects.select_related("run__campaign__target").get(run=run)
    return running.Engine(chaos, identity(), None), row, trial


def a_cell():
    """As much of one as a journal writes down."""
    ledgers = SimpleNamespace(address="127.0.0.1:5432")
    target = SimpleNamespace(process=None, build="")
    premises = SimpleNamespace(ledgers=ledgers)
    return SimpleNamespace(
        target=target, premises=premises, database="d", wires={}, operation="", experiment_mark="mark of the cell's"
    )


@pytest.mark.parametrize(
    ("healed_by", "verdict"), [("", "inconclusive"), ("whoever came", "inconclusive"), (identity(), "passed")]
)
def test_no_try_stands_for_an_experiment_whose_engine_has_not_seen_its_end(second_attempt, healed_by, verdict):
    engine, row, trial = second_attempt
    async_to_sync(Rows(row, engine.worker).before)(trial, a_cell())
    heal = Heal.objects.get()
    assert heal.what["experiment_mark"] == "mark of the cell's"
    if healed_by:
        work.note_healed(heal.pk, by=healed_by, now=timezone.now())
    row.attempt = 2
    result = async_to_sync(engine._strike)(a_cell(), row)
    assert result.verdict == verdict
    assert ("Undo by hand" in result.reason) is (verdict != "passed")
