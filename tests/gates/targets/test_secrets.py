"""Secrets are taken from where they are named, at the moment of use, and only if nobody else can read them."""

import pytest

from gates.targets.access import TargetUnreachableError, access, resolved
from gates.targets.programs import read_program
from wartest_site import environment


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


def test_a_variable_mended_in_dotenv_holds_at_once_in_processes_that_inherited_the_old_one(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "BASE_DIR", tmp_path)
    monkeypatch.setenv(environment.ADOPTED, "")
    for name in ("DESK_TOKEN", "DESK_LATER"):
        monkeypatch.setenv(name, "")  # so that it is gone again afterwards
        monkeypatch.delenv(name)
    monkeypatch.setenv("DESK_GIVEN", "by the shell")
    (tmp_path / ".env").write_text("DESK_TOKEN=wrong\nDESK_GIVEN=by the file\nSECRET_KEY=ours\n")
    environment.adopt_variables()  # as `up` does; whatever it starts inherits what it adopted
    environment.adopt_variables()
    assert resolved("env:DESK_TOKEN", "[broker] token") == "wrong"
    (tmp_path / ".env").write_text("DESK_TOKEN=right\nDESK_LATER=added\nDESK_GIVEN=by the file\nSECRET_KEY=ours\n")
    said = [resolved(f"env:{name}", "[broker] token") for name in ("DESK_TOKEN", "DESK_LATER", "DESK_GIVEN")]
    assert said == ["right", "added", "by the shell"]
    with pytest.raises(TargetUnreachableError, match=r"SECRET_KEY, which is not set: set it in \.env"):
        resolved("env:SECRET_KEY", "[broker] token")
