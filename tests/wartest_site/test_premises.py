import errno
import json
import shutil
import socket
from pathlib import Path

import pytest

from wartest_site.embedded.children import CannotStartError
from wartest_site.premises import LEAST_FREE_BYTES, PORT_NAMES, check_home, check_port, keep_ports


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_is_said_in_one_sentence(taken_port):
    with pytest.raises(CannotStartError, match=f"Port {taken_port} cannot be used .it is taken.: give another"):
        check_port(taken_port)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_does_not_exist_is_said_in_one_sentence(port):
    with pytest.raises(CannotStartError, match="between 1 and 65535"):
        check_port(port)


def test_ports_are_kept_from_start_to_start_but_not_one_that_somebody_took(tmp_path, taken_port, monkeypatch):
    monkeypatch.setattr("wartest_site.premises.OWN_PORT_LIMIT_S", 0)
    first = keep_ports(tmp_path)
    assert set(first) == set(PORT_NAMES)
    assert len(set(first.values())) == len(PORT_NAMES)
    assert keep_ports(tmp_path) == first
    (tmp_path / "ports.json").write_text(json.dumps(first | {"valkey": taken_port}))
    third = keep_ports(tmp_path)
    assert third["valkey"] != taken_port
    assert {name: third[name] for name in PORT_NAMES if name != "valkey"} == {
        name: first[name] for name in PORT_NAMES if name != "valkey"
    }


@pytest.mark.parametrize("content", ["", "[]", "{", '{"valkey": "x"}', '{"valkey": 99999999}', '{"valkey": 0}'])
def test_a_broken_port_file_is_made_anew(tmp_path, content):
    (tmp_path / "ports.json").write_text(content)
    assert set(keep_ports(tmp_path)) == set(PORT_NAMES)


def test_a_folder_that_cannot_be_made_is_said_in_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CannotStartError, match=r"cannot be written .*set WARTEST_HOME"):
        check_home(tmp_path / "file" / "home")


def test_a_read_only_folder_is_said_in_one_sentence():
    # root writes into any folder on disk, so ask for one where the kernel itself says no
    with pytest.raises(CannotStartError, match=r"cannot be written .*set WARTEST_HOME"):
        check_home(Path("/proc/wartest"))


def test_a_disk_that_is_nearly_full_is_said_in_one_sentence(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=LEAST_FREE_BYTES - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(CannotStartError, match="has 499 MB free and 500 MB are needed"):
        check_home(tmp_path)


def test_a_full_disk_is_said_in_one_sentence(tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CannotStartError, match="is full: free some space"):
        check_home(tmp_path)
