import ast
import os
import subprocess
import sys
from pathlib import Path

MANAGE = Path(__file__).parents[2] / "manage.py"


def test_manage_parses_on_python_3_6():
    ast.parse(MANAGE.read_text(), feature_version=(3, 6))


def test_a_python_that_is_too_old_is_told_so_in_one_sentence():
    code = (
        f"import runpy, sys; sys.version_info = (3, 9, 1); sys.argv = ['manage.py', 'up'];"
        f"runpy.run_path({str(MANAGE)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert done.stderr == "wartest needs Python 3.12 or newer and this is 3.9: run it as `uv run manage.py`.\n"


def test_what_nobody_foresaw_is_no_verdict_but_one_sentence_and_a_kept_trace(tmp_path):
    """Exit code 1 would say that a target failed."""
    code = (
        "import runpy, sys, django; django.setup();"
        "from wartest_site.management.commands import run_manual_audit as command;"
        "command._audit = lambda options: {}['the sixth drawer'];"
        "sys.argv = ['manage.py', 'run_manual_audit', '--snapshot', 'x'];"
        f"runpy.run_path({str(MANAGE)!r}, run_name='__main__')"
    )
    env = os.environ | {"WARTEST_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "wartest_site.settings"}
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60, env=env, cwd=MANAGE.parent)
    assert done.returncode == 2, done.stderr
    (said,) = done.stderr.strip().splitlines()
    assert "proves nothing: KeyError: 'the sixth drawer'." in said
    assert "_audit" in (tmp_path / "log" / "unexpected.log").read_text()


def test_a_reader_that_has_left_is_no_error_and_no_pass():
    """As in `manage.py … | head`, whose `head` has seen enough."""
    code = (
        "import os, runpy, sys; reads, writes = os.pipe(); os.dup2(writes, 1); os.close(writes); os.close(reads);"
        "sys.argv = ['manage.py', 'add_target', '--schema'];"
        f"runpy.run_path({str(MANAGE)!r}, run_name='__main__')"
    )
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60, cwd=MANAGE.parent)
    assert (done.returncode, done.stderr) == (141, "")
