"""Rules of the house that no tool of ours checks."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from django.core.management import get_commands

from wartest_site.environment import Environment

ROOT = Path(__file__).parents[2]
OURS = ("wartest_site", "gates", "audits")
README = (ROOT / "README.md").read_text()


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    package = ".".join(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: -(node.level - 1) or None] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def is_rehearsal(name: str) -> bool:
    return name == "gates.rehearsal" or name.startswith("gates.rehearsal.")


def test_the_rehearsal_target_imports_nothing_of_ours_but_itself():
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources("gates/rehearsal")
        for name in imported(path)
        if name.split(".")[0] in OURS and not is_rehearsal(name)
    }
    assert not wrong


def test_nothing_of_ours_imports_the_rehearsal_target():
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for folder in OURS
        for path in sources(folder)
        if "rehearsal" not in path.relative_to(ROOT).parts
        for name in imported(path)
        if is_rehearsal(name)
    }
    assert not wrong


def test_every_import_is_told_apart():
    """The two tests above can see: the desk and the broker do import their own modules."""
    seen = {name for path in sources("gates/rehearsal") for name in imported(path)}
    assert any(is_rehearsal(name) for name in seen)
    assert any(name.startswith("gates.targets.") for path in sources("wartest_site") for name in imported(path))


def test_the_readme_names_every_setting():
    missing = [name.upper() for name in Environment.model_fields if f"`{name.upper()}`" not in README]
    assert not missing


def test_the_readme_names_every_command():
    inside = {"seed_portal"}  # called by `up` only
    ours = {name for name, app in get_commands().items() if app in OURS} - inside
    assert "up" in ours
    assert not [name for name in sorted(ours) if f"manage.py {name}" not in README]


def test_the_pictures_of_the_readme_are_there_and_small():
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README)
    assert pictures
    assert all((ROOT / picture).stat().st_size <= 200_000 for picture in pictures)


def test_a_test_that_lacks_something_says_so_through_one_door_which_fails_in_ci():
    skipping = re.compile(r"pytest\.(skip|importorskip)\(|\bskipif\(")
    mine = {str(path.relative_to(ROOT)) for path in sources("tests") if skipping.search(path.read_text())}
    elsewhere = {  # data outside the project, another system than Linux, a right of the kernel: not to be installed
        "tests/gates/rehearsal/broker/test_openapi.py",
        "tests/wartest_site/test_supervisor.py",
        "tests/gates/chaos/cells/ways/test_ways.py",
    }
    assert mine - elsewhere <= {"tests/needs.py"}, "use tests.needs.lacks"


def test_no_file_holds_what_a_merge_left_behind():
    told = subprocess.run(
        ["git", "grep", "-nE", "^(<{7}|>{7}|={7})( |$)"], cwd=ROOT, text=True, capture_output=True, check=False
    )
    assert (told.returncode, told.stdout) == (1, "")
