import hashlib
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from gates.evidence.keys import SigningKeyError, key_in_use, public_key, public_keys


def private(home):
    return home / "keys" / "signing-key.pem"


def test_a_key_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    key = key_in_use(tmp_path, None)
    assert stat.S_IMODE(private(tmp_path).stat().st_mode) == 0o600
    assert key_in_use(tmp_path, None).public.fingerprint == key.public.fingerprint
    assert [one.fingerprint for one in public_keys(tmp_path)] == [key.public.fingerprint]
    assert {path.name for path in (tmp_path / "keys").iterdir()} == {
        "signing-key.pem",
        f"{key.public.fingerprint}.pem",
    }


def test_the_fingerprint_is_what_openssl_says(tmp_path):
    key = key_in_use(tmp_path, None)
    file = tmp_path / "keys" / f"{key.public.fingerprint}.pem"
    command = ["openssl", "pkey", "-pubin", "-in", str(file), "-outform", "DER"]
    der = subprocess.run(command, capture_output=True, check=True).stdout
    assert hashlib.sha256(der).hexdigest() == key.public.fingerprint


def test_a_signature_holds_for_its_message_alone(tmp_path):
    key = key_in_use(tmp_path, None)
    signature = key.sign(b"passed")
    assert key.public.verifies(signature, b"passed")
    assert not key.public.verifies(signature, b"failed")
    assert not key.public.verifies(signature.upper(), b"passed")
    assert not key_in_use(tmp_path / "another", None).public.verifies(signature, b"passed")


def test_processes_that_start_at_once_have_one_key(tmp_path):
    code = "import sys, pathlib; from gates.evidence.keys import key_in_use; "
    code += "print(key_in_use(pathlib.Path(sys.argv[1]), None).public.fingerprint)"
    command = [sys.executable, "-c", code, str(tmp_path)]

    def start(_):
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    with ThreadPoolExecutor(4) as at_once:
        assert len(set(at_once.map(start, range(4)))) == 1


def broken(home, how):
    file = private(home)
    if how == "missing":
        file.unlink()
    elif how == "cut short":
        file.write_bytes(file.read_bytes()[:40])
    elif how == "open to others":
        file.chmod(0o644)
    elif how == "another":
        file.unlink()
        key_in_use(home, None)
    elif how == "of another kind":
        command = ["openssl", "genpkey", "-algorithm", "X25519", "-out", str(file)]
        subprocess.run(command, capture_output=True, check=True)
        file.chmod(0o600)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("missing", "is missing: bring it back from your backup"),
        ("cut short", "holds no signing key"),
        ("open to others", "open to others"),
        ("another", "but this portal's reports are signed with"),
        ("of another kind", "holds no Ed25519 key"),
    ],
)
def test_a_key_in_use_that_cannot_be_used_is_never_replaced_without_a_word(tmp_path, how, words):
    fingerprint = key_in_use(tmp_path, None).public.fingerprint
    broken(tmp_path, how)
    before = private(tmp_path).read_bytes() if private(tmp_path).exists() else None
    with pytest.raises(SigningKeyError, match=words) as refused:
        key_in_use(tmp_path, fingerprint)
    assert "\n" not in str(refused.value)
    assert (private(tmp_path).read_bytes() if private(tmp_path).exists() else None) == before


def test_a_key_that_cannot_be_read_is_said(tmp_path):
    key = key_in_use(tmp_path, None)
    private(tmp_path).unlink()
    private(tmp_path).mkdir(mode=0o700)
    with pytest.raises(SigningKeyError, match="cannot be read: Is a directory"):
        key_in_use(tmp_path, key.public.fingerprint)


def test_what_is_no_public_key_is_refused():
    with pytest.raises(SigningKeyError, match="no public key"):
        public_key("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
