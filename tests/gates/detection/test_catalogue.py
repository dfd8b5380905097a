"""The catalogue: what the issue asks for is there, and each defect says what it is."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from gates.detection.catalogue import UnknownDefectError, catalogue, named

FOLDER = Path(__file__).parents[3] / "gates" / "rehearsal" / "defects"
PARTS = {"__init__", "__main__", "defect", "holding", "loosened", "planting"}
FILES = sorted(path for path in FOLDER.glob("*.py") if path.stem not in PARTS)
DEFECTS = catalogue()
# Defects that leave the same trace, and why no rule can tell them apart.
ALIKE = {
    frozenset({"blind-retry", "lookup-believed-once"}): "one order sent twice; only the strike that shows it differs",
    frozenset(
        {"stop-only-in-books", "stop-lost-after-partial-fill"}
    ): "the broker has no stop: never sent, or taken back",
}


def test_there_are_at_least_twenty_four_in_files_of_their_own():
    assert len(DEFECTS) >= 24
    assert {path.stem.replace("_", "-") for path in FILES} == {defect.name for defect in DEFECTS}


def test_every_gate_has_defects_of_its_own():
    assert {defect.gate for defect in DEFECTS} == {1, 2, 3, 4}


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_each_file_is_short_and_says_the_origin_and_the_gate_that_the_catalogue_says(defect):
    text = (FOLDER / f"{defect.name.replace('-', '_')}.py").read_text()
    assert len(text.splitlines()) <= 80
    docstring = text.split('"""')[1]
    (origin,) = re.findall(r"\nOrigin: (.+)", docstring)
    assert origin.startswith("hand-made") == (not defect.origin)
    assert set(re.findall(r"[\w-]*#\d+", defect.origin)) <= set(re.findall(r"[\w-]*#\d+", origin))
    assert re.findall(r"\nCaught by gate (\d)", docstring) == [str(defect.gate)]


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_each_defect_can_be_shown_and_has_its_own_reason(defect):
    assert defect.rules
    assert defect.replaces
    assert defect.steps or defect.scenarios
    assert bool(defect.scenarios) == (defect.gate == 2)


def test_no_two_defects_are_caught_by_the_same_rules_at_the_same_place_but_those_that_must_be():
    places = defaultdict(set)
    for defect in DEFECTS:
        places[defect.gate, frozenset(defect.scenarios), frozenset(defect.rules)].add(defect.name)
    assert {frozenset(names) for names in places.values() if len(names) > 1} == set(ALIKE)


def test_an_unknown_name_is_refused_with_the_names_there_are():
    with pytest.raises(UnknownDefectError, match="There is no defect 'sand': choose one of dies-on-cancel"):
        named(DEFECTS, "sand")
