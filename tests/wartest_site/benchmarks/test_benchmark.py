"""The command around the benchmarks: what it refuses, and the file it writes. What they measure is not tested."""

import json
import types

import pytest
from django.core.management import CommandError, call_command

from wartest_site.benchmarks import BENCHMARKS, benchmark, proxy
from wartest_site.benchmarks.aims import lines_of
from wartest_site.embedded.children import CannotStartError
from wartest_site.management.commands import benchmark as command

NAME = BENCHMARKS[0]


@pytest.fixture
def measured(monkeypatch):
    """Stand in for every benchmark; returns the scales that were asked for."""
    scales = []

    def measure(scale, say):
        say("measuring")
        scales.append(scale)
        return {"targets_held": 1200, "slots_missed": 0}

    monkeypatch.setattr(command, "benchmark", lambda name: types.SimpleNamespace(SCALE=7, measure=measure))
    return scales


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_benchmark_says_what_it_measures_and_has_a_scale(name):
    module = benchmark(name)
    assert "easured" in module.__doc__
    assert module.SCALE > 0
    assert callable(module.measure)


def test_figures_and_machine_are_written_to_the_file(measured, tmp_path, capsys):
    file = tmp_path / "figures.json"
    call_command("benchmark", NAME, "--json", str(file))
    written = json.loads(file.read_text())
    assert written["name"] == NAME
    assert written["figures"] == {"targets_held": 1200, "slots_missed": 0}
    assert "Python" in written["machine"]
    assert measured == [7]
    assert capsys.readouterr().out.splitlines()[-1] == str(file)
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"]


@pytest.mark.parametrize(
    ("name", "figures", "words"),
    [
        ("chaos", {"points_per_minute": 120.0}, "aim ≥ 120: met"),
        ("chaos", {"points_per_minute": 119.9}, "aim ≥ 120: missed"),
        ("chaos", {"wall_over_floor": 1.3}, "aim ≤ 1.3: met"),
        ("chaos", {"wall_over_floor": 1.31}, "aim ≤ 1.3: missed"),
        ("detection", {"exhaustive_found": 17, "defects": 18}, "aim ≥ defects: missed"),
        ("detection", {"exhaustive_found": 18, "defects": 18}, "aim ≥ defects: met"),
        ("proxy", {}, "aim ≤ 3: not measured"),
    ],
)
def test_a_figure_has_its_aim_beside_it_and_whether_it_is_met(name, figures, words):
    figure = next(iter(figures), "pg_over_haproxy_p50")
    (line,) = [line for line in lines_of(name, figures) if line.startswith(figure)]
    assert line.endswith(words)


def test_a_figure_without_an_aim_is_only_a_figure():
    assert [line.split() for line in lines_of("pages", {"run_p95_ms": 12.5})] == [["run_p95_ms", "12.5"]]


def test_the_proxys_figures_have_the_names_of_their_wires():
    ledger = {"direct": [10.0] * 9, "ours": [40.0] * 9, "armed": [50.0] * 9, "haproxy": [20.0] * 9}
    figures = proxy._compared(proxy.LEDGER, ledger)
    assert (figures["pg_added_p50_us"], figures["haproxy_added_p99_us"]) == (30.0, 10.0)
    assert (figures["pg_over_haproxy_p50"], figures["pg_over_haproxy_p99"]) == (3.0, 3.0)
    http = proxy._compared(proxy.HTTP, {"direct": [10.0] * 9, "ours": [30.0] * 9})
    assert http["http_added_p50_us"] == 20.0
    assert not [name for name in http if "haproxy" in name]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--scale", "0"], "above 0"), (["--json", "/no/such/folder/f.json"], "cannot be written")],
)
def test_what_cannot_be_done_is_said_before_anything_is_measured(measured, arguments, words):
    with pytest.raises(CommandError, match=words) as refused:
        call_command("benchmark", NAME, *arguments)
    assert refused.value.returncode == 2
    assert measured == []


def test_a_benchmark_that_cannot_start_ends_with_2_and_one_sentence(measured, monkeypatch, capsys):
    def measure(scale, say):
        raise CannotStartError("the web server did not answer")

    monkeypatch.setattr(command, "benchmark", lambda name: types.SimpleNamespace(SCALE=1, measure=measure))
    with pytest.raises(SystemExit) as ended:
        call_command("benchmark", NAME)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "the web server did not answer.\n"
