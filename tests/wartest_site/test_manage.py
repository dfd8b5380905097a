import ast
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
