"""Grounds for the whole session, and the catalogue rehearsed once for all tests that ask what was found."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from gates.detection.catalogue import catalogue
from gates.detection.ground import Ground
from gates.detection.rehearsing import rehearse_by_hand
from gates.detection.sweeping import sweep
from wartest_site.embedded.children import free_port, start_child

ROOT = Path(__file__).parents[3]
AT_ONCE = 2


def start(spec, log_file):
    with log_file.open("ab") as log:
        return start_child(spec, log=log, cwd=ROOT)


@pytest.fixture(scope="session")
def grounds(postgres_server, tmp_path_factory):
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                Ground(tmp_path_factory.mktemp("ground"), start, postgres_server.create_database, free_port).running()
            )
            for _ in range(AT_ONCE)
        ]


@pytest.fixture(scope="session")
def by_hand(grounds):
    """Every defect that has steps, rehearsed by hand: its name and what was found."""
    defects = [defect for defect in catalogue() if defect.by_hand and defect.steps]
    return {result.defect.name: result for result in sweep(grounds, defects, rehearse_by_hand)}
