"""Planting replaces what it names and nothing else, and a desk with a defect never passes for the clean one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NOWHERE = {
    "PATH": os.environ["PATH"],
    "DATABASE_URL": "postgresql://desk@127.0.0.1:1/desk",
    "OANDA_URL": "http://127.0.0.1:1",
    "OANDA_TOKEN": "token",
    "OANDA_ACCOUNT_ID": "account",
}


def run_python(*words):
    ended = subprocess.run(
        (sys.executable, *words), check=False, cwd=ROOT, env=NOWHERE, capture_output=True, text=True, timeout=60
    )
    return ended.returncode, ended.stdout.strip(), ended.stderr.strip()


def test_an_unknown_defect_keeps_the_desk_from_starting():
    code, _, said = run_python("-m", "gates.rehearsal.desk", "--port", "1", "--defect", "sand")
    assert code == 2
    assert said.startswith("there is no defect 'sand'; choose of dies-on-cancel, ")


@pytest.mark.parametrize("name", ["blind-retry", "float-money", "half-dead"])
def test_a_planted_desk_has_its_parts_replaced_and_is_another_build(name):
    program = f"""
from gates.rehearsal.defects.planting import find, plant
from gates.rehearsal.desk import health
build, defect = health.own_build(), find({name!r})
before = [getattr(part.owner, part.name) for part in defect.replaces]
plant({name!r})
after = [getattr(part.owner, part.name) for part in defect.replaces]
print(len(before), sum(a is not b for a, b in zip(before, after)), build == health.own_build())
"""
    code, said, trouble = run_python("-c", program)
    assert code == 0, trouble
    parts, changed, same_build = said.split()
    assert parts == changed
    assert same_build == "False"


def test_the_clean_desk_does_not_name_the_catalogue():
    desk = ROOT / "gates" / "rehearsal" / "desk"
    naming = {path.name for path in desk.glob("*.py") if "defects" in path.read_text()}
    assert naming == {"__main__.py", "settings.py"}
