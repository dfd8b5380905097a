"""What is learned from clean runs is what differs between them, and no more."""

import random

import pytest

from gates.chaos.cells.noise import SILENCE, Kept, Noise, learned

JOBS, CURSORS, BEATS = ("own", "jobs"), ("own", "cursors"), ("own", "beats")
TABLES = {JOBS: (2, {"id": "a", "state": "b"}), CURSORS: (1, {"last": "c"}), BEATS: (7, {"at": "d"})}
END = Kept(TABLES, {"cursor": "e", "journal": "f"})


def ending(*rows, **hashes):
    """The end with other hashes of some columns or files, and other numbers of rows of some tables."""
    tables = {
        table: (dict(rows).get(table, count), {name: hashes.get(name, told) for name, told in columns.items()})
        for table, (count, columns) in TABLES.items()
    }
    return Kept(tables, {name: hashes.get(name, told) for name, told in END.files.items()})


def test_runs_that_end_exactly_alike_have_no_noise():
    assert learned([END, END, END]) == SILENCE
    assert learned([END]) == learned([]) == SILENCE
    assert not SILENCE


def test_a_column_and_a_file_that_differ_are_noise_and_their_neighbours_are_not():
    noise = learned([END, ending(id="other"), ending(journal="another")])
    assert noise == Noise(columns=frozenset({(*JOBS, "id")}), files=frozenset({"journal"}))
    assert noise.words == ["file journal", "own.jobs.id"]


def test_a_table_that_differs_in_its_number_of_rows_or_that_one_run_lacks_is_noise_as_a_whole():
    fewer = Kept({JOBS: TABLES[JOBS], CURSORS: TABLES[CURSORS]}, END.files)
    for other in (ending((BEATS, 8), at="other"), fewer):
        assert learned([END, other]) == Noise(tables=frozenset({BEATS}))
    assert learned([END, fewer]).words == ["own.beats (all of it)"]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_differs_between_any_two_of_the_runs_is_noise_in_any_order_of_them(seed):
    chance = random.Random(seed)
    names = ["id", "state", "last", "at", "cursor", "journal"]
    runs = [ending(**{name: chance.choice("xy") for name in chance.sample(names, 3)}) for _ in range(4)]
    noise = learned(runs)
    assert learned(chance.sample(runs, 4)) == noise
    for table, (_, columns) in TABLES.items():
        for column in columns:
            differs = len({run.tables[table][1][column] for run in runs}) > 1
            assert ((*table, column) in noise.columns) == differs
    assert noise.files == {name for name in END.files if len({run.files[name] for run in runs}) > 1}
    assert Noise.of(noise.shape()) == noise


def test_a_noise_that_was_never_written_down_is_none():
    assert Noise.of({}) == SILENCE
