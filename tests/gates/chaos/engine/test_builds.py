"""Which build the cells strike: only one that is shown to be another is held against the strike."""

import asyncio
from types import SimpleNamespace

import httpx
import pytest

from audits.verdicts import Verdict
from gates.chaos.cells.target import _text, _told_in
from gates.chaos.engine import running
from gates.chaos.engine.builds import another_build
from gates.chaos.strikes.recovery import Result
from gates.detection.targets import planted_target
from gates.models import Campaign, ChaosRun, CrashPoint
from gates.signoff.shown import gates_shown, untested
from gates.targets.programs import planted_in
from tests.gates.chaos.pages.staged import START, staged_run

MINE = "sha256:0a1b"  # the staged campaign's


@pytest.mark.parametrize(
    ("shown", "wanted", "is_another"),
    [("a", "b", True), ("a", "a", False), ("", "b", False), ("a", "unknown", False), ("a", "", False)],
)
def test_only_a_build_that_is_shown_and_known_is_another(shown, wanted, is_another):
    assert bool(another_build(shown, wanted)) is is_another


@pytest.mark.parametrize(
    ("content", "build"),
    [
        (b'{"build": " sha256:1\\u0000 "}', "sha256:1"),
        (b'{"build": 7}', "7"),
        (b'{"build": null}', ""),
        (b'{"status": "ok"}', ""),
        (b'["build"]', ""),
        (b"ready", ""),
        (b"\xff\xfe\x00", ""),
    ],
)
def test_the_build_is_read_from_the_ready_answer_whatever_that_is(content, build):
    assert _text(_told_in(httpx.Response(200, content=content)).get("build")) == build


@pytest.fixture
def chaos(db):
    return ChaosRun.objects.select_related("run__campaign__target").get(run=staged_run())


def strike(chaos, monkeypatch, shown):
    """Let an engine make one strike that passes, after which the program in the cell shows this build."""

    async def nothing(*args):
        return None

    async def struck(*args):
        return Result(Verdict.PASSED, after_kill="state", exact="state")

    for name, stand_in in (("prepare", nothing), ("try_until_struck", struck)):
        monkeypatch.setattr(running, name, stand_in)
    monkeypatch.setattr(running.Engine, "_clean", nothing)
    points = CrashPoint.objects.select_related("scenario", "first")
    point = points.filter(scenario__run=chaos.run, then_point="", attempt__lt=2).first()
    cell = SimpleNamespace(operation="", target=SimpleNamespace(build=shown))
    mine = running.Engine(chaos, "here:1:1", None)
    result = asyncio.run(mine._strike(cell, point))
    mine._memory.keep(point, result)
    return result, mine._memory.judged(point)


@pytest.mark.parametrize(("shown", "verdict"), [("sha256:deployed", "inconclusive"), (MINE, "passed"), ("", "passed")])
def test_a_deploy_while_the_gate_runs_leaves_its_strikes_inconclusive(chaos, monkeypatch, shown, verdict):
    result, judged = strike(chaos, monkeypatch, shown)
    assert result.verdict == verdict
    assert bool(judged) is (verdict == "passed"), "what another build did stands for no other strike"


def test_the_desk_with_planted_defects_is_another_build_on_purpose(chaos, monkeypatch):
    spec = planted_target("blind-retry", now=START).spec
    assert planted_in(spec) == ("blind-retry",)
    chaos.run.campaign.target.spec = spec
    assert strike(chaos, monkeypatch, "sha256:defective")[0].verdict == "passed"
    own = spec | {"process": spec["process"] | {"command": ["desk"]}}
    assert planted_in(own) == (), "only the bundled desk has defects to plant"


def test_a_program_that_shows_no_build_is_said_to_be_untested_before_who_signs(chaos):
    campaign = Campaign.objects.get(pk=chaos.run.campaign_id)
    said = {one.what: one.because for one in untested(campaign, gates_shown(campaign))}
    assert "Gate 2's program shows none" in said["Which build was struck"]
