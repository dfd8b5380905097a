"""A machine that lacks what cells are made of says so before any strike is tried there."""

import asyncio
import re

import pytest

from gates.chaos.cells.ledgers import LedgerServer
from gates.chaos.cells.presence import demand_program, demand_server
from gates.targets.access import TargetUnreachableError
from gates.targets.programs import Program


@pytest.fixture
def desk(tmp_path):
    """A program in a folder of its own: how it is described, and where it is."""
    path = tmp_path / "desk"
    path.write_text("#!/bin/sh")
    path.chmod(0o700)

    def program(word, folder=None, **environment):
        return Program((word, "--port", "{port}"), environment, "http://127.0.0.1:{port}/health", {}, folder)

    return program, path


def test_a_program_is_found_as_it_would_be_started(desk):
    program, path = desk
    for found in (
        program(str(path)),
        program("./desk", str(path.parent)),
        program("desk", PATH=str(path.parent)),
        program("sh"),
        program("{cell_folder}/desk"),
        program("./desk", "{cell_folder}"),
    ):
        demand_program(found)


def test_a_program_that_is_not_here_or_cannot_be_executed_is_refused_in_words(desk):
    program, path = desk
    missing = r"\[process\] command begins with {}, which is not on this machine, .+ or cannot be executed\."
    for word, folder in (("/srv/no-such-desk", None), ("./desk", "/"), ("no-such-desk", str(path.parent))):
        with pytest.raises(TargetUnreachableError, match=missing.format(re.escape(word))):
            demand_program(program(word, folder))
    with pytest.raises(TargetUnreachableError, match=r"\[process\] folder, /srv/none, is not on this machine"):
        demand_program(program("sh", "/srv/none"))
    path.chmod(0o600)
    with pytest.raises(TargetUnreachableError, match="cannot be executed"):
        demand_program(program(str(path)))


def test_a_server_for_the_copies_that_does_not_answer_is_named_without_secrets():
    with pytest.raises(TargetUnreachableError) as refused:
        asyncio.run(demand_server(LedgerServer("postgresql://desk:secret@127.0.0.1:9/desk")))
    assert str(refused.value).startswith("The server for the copies, 127.0.0.1:9, cannot be used: ")
    assert "secret" not in str(refused.value)
