"""`verify_evidence` as an outsider runs it: another machine state, no database, real processes."""

import json
import os
import subprocess
import sys

import pytest

from gates.evidence.places import INDEX
from wartest_site.environment import BASE_DIR

pytestmark = pytest.mark.django_db  # so that the portal that makes the evidence has a database

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture
def outsider(tmp_path):
    """Run a command in an empty state folder, with a database that is not there."""

    def run(*arguments, home=tmp_path / "empty"):
        environment = {
            **os.environ,
            "WARTEST_HOME": str(home),
            "DATABASE_URL": NOWHERE,
            "REDIS_URL": "redis://127.0.0.1:1/0",
        }
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=BASE_DIR,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_an_outsider_verifies_the_zip_and_runs_its_audit_again(evident, outsider, tmp_path):
    done = outsider("-m", "gates.evidence", evident.zip, "--key", evident.fingerprint)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("passed: 5 reports, 7 links, 1 snapshots")
    tree = evident.unpacked(tmp_path)
    done = outsider("manage.py", "verify_evidence", tree, "--key", tree / "keys" / f"{evident.fingerprint}.pem")
    assert done.returncode == 0, done.stdout
    snapshot = tree / "snapshots" / f"run-{evident.runs[2]}"
    done = outsider("manage.py", "run_manual_audit", "--snapshot", snapshot, "--reports-dir", tmp_path / "again")
    again = json.loads((tmp_path / "again" / os.path.basename(done.stdout.splitlines()[-1])).read_text())  # noqa: PTH119
    (sealed,) = (json.loads(path.read_text()) for path in (tree / "reports").glob("manual-audit-*"))
    assert [(line["name"], line["verdict"], line["rows"]) for line in again["checks"]] == [
        (line["name"], line["verdict"], line["rows"]) for line in sealed["checks"]
    ]
    assert again["snapshot"]["manifest_sha256"] == sealed["snapshot"]["manifest_sha256"]


def test_the_verifier_needs_neither_django_nor_a_database(evident, outsider):
    code = "import sys; sys.argv[0] = 'x'\nfrom gates.evidence.__main__ import main\ncode = main()\n"
    code += "assert not {'django', 'psycopg', 'celery'} & sys.modules.keys(), sorted(sys.modules)\nsys.exit(code)"
    assert outsider("-c", code, evident.zip, "--key", evident.fingerprint).returncode == 0


def test_each_end_has_its_exit_code_and_its_sentence(evident, outsider, tmp_path):
    tree = evident.unpacked(tmp_path / "x")
    untrusted = outsider("manage.py", "verify_evidence", evident.zip)
    assert untrusted.returncode == 3
    assert f"the key {evident.fingerprint} that signed it came with it" in untrusted.stdout
    (tree / "index.html").write_text("All passed.")
    changed = outsider("manage.py", "verify_evidence", tree, "--key", evident.fingerprint)
    assert changed.returncode == 1
    assert "■ index.html has changed: its SHA-256 is not the one in evidence.json." in changed.stdout.splitlines()
    assert changed.stdout.splitlines()[-1].startswith("failed: ")
    (tmp_path / "bad.zip").write_bytes(evident.zip.read_bytes()[:-900])
    for arguments, words in (
        ([tmp_path / "none"], "There is no"),
        ([tmp_path / "bad.zip"], "no whole zip"),
        ([BASE_DIR / "audits"], f"There is neither {INDEX} nor a report"),
        ([evident.zip, "--key", "abc"], "neither a fingerprint (64 hexadecimal digits) nor a public key's PEM file"),
    ):
        refused = outsider("manage.py", "verify_evidence", *arguments)
        assert refused.returncode == 2
        assert words in refused.stderr
        assert refused.stderr.count("\n") == 1


def test_the_portals_own_machine_needs_no_key_to_be_given(evident, outsider):
    for path in (evident.reports, evident.zip):
        done = outsider("manage.py", "verify_evidence", path, home=evident.home)
        assert done.returncode == 0, done.stdout


def test_evidence_of_another_portal_is_not_this_portals(evident, outsider, tmp_path):
    code = "import pathlib; from gates.evidence.keys import key_in_use; key_in_use(pathlib.Path('{}'), None)"
    assert outsider("-c", code.format(tmp_path / "other")).returncode == 0
    done = outsider("manage.py", "verify_evidence", evident.zip, home=tmp_path / "other")
    assert done.returncode == 1
    assert "it is of another portal, or was signed again" in done.stdout
