import json
import os
import stat
import subprocess
import sys

import psutil
import pytest

from wartest_site import stack
from wartest_site.embedded.children import CannotStartError
from wartest_site.stack import Services, adopt_environment, running_stack, sole_owner, write_services


@pytest.fixture
def services():
    me = psutil.Process()
    env = {"DATABASE_URL": "postgresql://a:b@127.0.0.1:1/c", "REDIS_URL": "redis://:x@127.0.0.1:2/0"}
    return Services(pid=me.pid, created=me.create_time(), url="http://127.0.0.1:3/", env=env)


def test_a_running_stack_is_found_by_what_it_wrote_privately(tmp_path, services):
    write_services(tmp_path, services)
    assert running_stack(tmp_path) == services
    assert stat.S_IMODE((tmp_path / "services.json").stat().st_mode) == 0o600


def test_a_file_left_by_a_dead_stack_does_not_count_even_when_its_pid_lives_again(tmp_path, services):
    write_services(tmp_path, Services(services.pid, services.created - 100, services.url, services.env))
    assert running_stack(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}'])
def test_a_broken_file_does_not_count(tmp_path, content):
    (tmp_path / "services.json").write_text(content)
    assert running_stack(tmp_path) is None


def test_a_command_joins_the_running_stack_but_never_overrules_the_user(tmp_path, services, monkeypatch):
    write_services(tmp_path, services)
    monkeypatch.setattr(os, "environ", {"WARTEST_HOME": str(tmp_path), "REDIS_URL": "redis://mine/0"})
    adopt_environment()
    assert os.environ["DATABASE_URL"] == services.env["DATABASE_URL"]
    assert os.environ["REDIS_URL"] == "redis://mine/0"


def test_the_lock_lets_one_in_and_names_the_other(tmp_path, services):
    write_services(tmp_path, services)
    code = (
        "import sys; from pathlib import Path; from wartest_site.stack import sole_owner\n"
        f"with sole_owner(Path({str(tmp_path)!r})): print('in', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=stack.BASE_DIR
    ) as holder:
        assert holder.stdout.readline() == b"in\n"
        (tmp_path / "services.json").rename(tmp_path / "aside")
        with pytest.raises(CannotStartError, match="just starting or ending"), sole_owner(tmp_path):
            pass
        (tmp_path / "aside").rename(tmp_path / "services.json")
        refused = pytest.raises(CannotStartError, match=r"already running in .* at http://127.0.0.1:3/")
        with refused, sole_owner(tmp_path):
            pass
        holder.kill()
    with sole_owner(tmp_path):
        pass


def test_the_file_is_json_that_others_can_read(tmp_path, services):
    write_services(tmp_path, services)
    assert json.loads((tmp_path / "services.json").read_text())["url"] == services.url
