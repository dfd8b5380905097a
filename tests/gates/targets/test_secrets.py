"""Secrets are taken from where they are named, at the moment of use, and only if nobody else can read them."""

import pytest

from gates.targets.access import TargetUnreachableError, access, resolved
from gates.targets.programs import read_program


def test_a_file_gives_its_secret_only_if_its_owner_alone_can_read_it(tmp_path):
    path = tmp_path / "token"
    path.write_text("s3cret\n")
    path.chmod(0o640)
    with pytest.raises(TargetUnreachableError, match="chmod 600") as told:
        resolved(f"file:{path}", "[broker] token")
    assert "s3cret" not in str(told.value)
    path.chmod(0o600)
    assert resolved(f"file:{path}", "[broker] token") == "s3cret"


@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b"\xff", "not a text"), (b"x" * 70_000, "64 KiB")])
def test_a_file_that_holds_no_secret_says_so(tmp_path, content, words):
    path = tmp_path / "token"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(TargetUnreachableError, match=words):
        resolved(f"file:{path}", "[broker] token")


def test_a_missing_file_and_a_folder_say_so(tmp_path):
    with pytest.raises(TargetUnreachableError, match="cannot be read"):
        resolved(f"file:{tmp_path / 'none'}", "[ledger] key")
    with pytest.raises(TargetUnreachableError, match="is no file"):
        resolved(f"file:{tmp_path}", "[ledger] key")


def test_a_variable_of_a_cell_may_name_a_secret_with_braces_in_it(monkeypatch):
    monkeypatch.setenv("DESK_PEPPER", "a{b}c")
    program = read_program(
        {
            "process": {
                "command": ["desk"],
                "environment": {"PEPPER": "env:DESK_PEPPER", "DB": "{ledger_url}"},
                "ready": "http://127.0.0.1:{port}/",
            }
        }
    )
    filled = program.filled({"ledger_url": "postgresql://x", "port": "1"})
    assert filled.environment == {"PEPPER": "a{b}c", "DB": "postgresql://x"}
    assert "a{b}c" not in repr(filled)


def test_health_is_found_at_the_port_of_the_running_target_or_not_at_all():
    spec = {
        "ledger": {"url": "postgresql://x"},
        "broker": {"url": "http://b", "account": "1", "token": "t"},
        "process": {"ready": "http://127.0.0.1:{port}/up", "port": 8010},
    }
    assert access(spec).health_url == "http://127.0.0.1:8010/up"
    assert access({name: spec[name] for name in ("ledger", "broker")}).health_url == ""
    assert access(spec).ledger_schema == "wartest"
