"""Growth: a leak is found by its floor, and neither garbage nor a full cache is one."""

import pytest

from gates.checks.growth import MIN_SAMPLES, RULE, judge_growth


def samples(values, name="memory_mib"):
    return [{name: value} for value in values]


def rules(found):
    return {finding.where["resource"] for finding in found if finding.rule == RULE}


def test_a_floor_that_rises_to_the_end_is_a_leak_whatever_lies_on_top():
    sawtooth = [80 + n + 40 * (n % 3) for n in range(60)]
    (finding,) = judge_growth(samples(sawtooth))
    assert finding.rule == RULE
    assert finding.difference == "30"


@pytest.mark.parametrize(
    "values",
    [
        [80 + 50 * (n % 5) for n in range(60)],  # garbage
        [80 + 8 * min(n, 14) for n in range(60)],  # warming up
        [80 + 0.2 * n for n in range(60)],  # too little to matter
        [80 + n for n in range(40)] + [80] * 20,  # given back
        [300 - n for n in range(60)],
        [80 + 10 * n for n in range(MIN_SAMPLES - 1)],  # too few to prove anything
        [],
    ],
)
def test_what_is_given_back_or_levels_off_is_none(values):
    assert judge_growth(samples(values)) == ()


def test_each_resource_is_judged_on_its_own():
    both = [{"memory_mib": 100, "handles": 20 + n, "threads": None} for n in range(60)]
    assert rules(judge_growth(both)) == {"handles"}
