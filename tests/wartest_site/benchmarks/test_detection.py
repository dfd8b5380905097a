"""The table of who finds what."""

from wartest_site.benchmarks.detection import Hunted, table


def hunted(name, *, swept, in_operation, in_life):
    found = {"swept": swept, "in_operation": in_operation, "in_life": in_life}
    return Hunted(name=name, strikes=40, kills=(1, 1), false_alarms=0, **found)


def test_each_defect_has_a_line_that_says_which_way_found_it():
    heads, *lines = table(
        [
            hunted("timeout_is_reject", swept=True, in_operation=False, in_life=False),
            hunted("blind_retry", swept=True, in_operation=True, in_life=False),
        ]
    )
    names = ["every message", "one kill in the operation", "one kill in the process's life"]
    ways = [[line[heads.index(way) :].split("  ")[0] for way in names] for line in lines]
    assert [line.split()[0] for line in lines] == ["blind_retry", "timeout_is_reject"]
    assert ways == [["found", "found", "not found"], ["found", "not found", "not found"]]
