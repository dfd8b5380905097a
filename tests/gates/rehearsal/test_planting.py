"""Planting replaces what it names and nothing else, and a desk with a defect never passes for the clean one."""

import json
import os
import subprocess
import sys
from pathlib import Path

from gates.detection.catalogue import catalogue

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


PLANT_EACH = """
import importlib, json, pkgutil
from gates.rehearsal import desk
from gates.rehearsal.defects import DEFECTS
from gates.rehearsal.defects.planting import plant

names = [each.name for each in pkgutil.iter_modules(desk.__path__) if each.name != "__main__"]
modules = [importlib.import_module(f"gates.rehearsal.desk.{name}") for name in names]
classes = {thing for module in modules for thing in vars(module).values() if isinstance(thing, type)}
owners = [*modules, *(each for each in classes if each.__module__.startswith("gates.rehearsal.desk."))]


def parts():
    return {(owner, name): thing for owner in owners for name, thing in vars(owner).items()}


def words(part):
    owner, name = part
    module = getattr(owner, "__module__", "").rpartition(".")[2]
    return ".".join(filter(None, (module, owner.__name__.rpartition(".")[2], name)))


clean, told = parts(), {}
for defect in DEFECTS:
    plant(defect.name)
    planted = parts()
    changed = [part for part in planted if planted[part] is not clean.get(part)]
    told[defect.name] = {
        "changed": sorted(map(words, changed)),
        "build": importlib.import_module("gates.rehearsal.desk.health").own_build(),
    }
    for owner, name in changed:
        setattr(owner, name, clean[owner, name])
told["clean"] = {"build": importlib.import_module("gates.rehearsal.desk.health").own_build()}
print(json.dumps(told))
"""


def test_each_defect_replaces_what_it_names_and_nothing_else_and_is_another_build():
    code, said, trouble = run_python("-c", PLANT_EACH)
    assert code == 0, trouble
    told = json.loads(said)
    assert {name: told[name]["changed"] for name in told if name != "clean"} == {
        defect.name: sorted([*defect.replaces, "health.own_build"]) for defect in catalogue()
    }
    assert len({each["build"] for each in told.values()}) == len(told)


def test_the_clean_desk_does_not_name_the_catalogue():
    desk = ROOT / "gates" / "rehearsal" / "desk"
    naming = {path.name for path in desk.glob("*.py") if "defects" in path.read_text()}
    assert naming == {"life.py", "settings.py"}
