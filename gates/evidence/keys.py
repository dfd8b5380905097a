"""The portal's Ed25519 key: made once, kept outside of the database, readable by its owner alone.

`<home>/keys/signing-key.pem` is the private key (PKCS 8, mode 600), `<home>/keys/<fingerprint>.pem` the public one of
each key that ever signed. A fingerprint is the SHA-256 of the public key as DER (SubjectPublicKeyInfo), which
`openssl pkey -pubin -in FILE -outform DER | sha256sum` prints too.
"""

import hashlib
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

FOLDER = "keys"
PRIVATE = "signing-key.pem"
NEXT = "next-key.pem"  # a rotation writes it before the chain records it, so that a crash in between can be finished
MOST_PEM_BYTES = 10_000
SIGNATURE = re.compile(r"[0-9a-f]{128}")


class SigningKeyError(Exception):
    """The signing key cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are checked with."""

    key: Ed25519PublicKey

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key as DER, 64 hexadecimal digits."""
        return hashlib.sha256(self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()

    @property
    def pem(self) -> str:
        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")

    def verifies(self, signature: str, message: bytes) -> bool:
        """Whether the signature (128 lower hexadecimal digits) is this key's of the message."""
        if not SIGNATURE.fullmatch(signature):
            return False
        try:
            self.key.verify(bytes.fromhex(signature), message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs; it never leaves its file."""

    key: Ed25519PrivateKey

    @property
    def public(self) -> PublicKey:
        return PublicKey(self.key.public_key())

    def sign(self, message: bytes) -> str:
        """Return the signature as 128 hexadecimal digits."""
        return self.key.sign(message).hex()


def public_key(pem: str) -> PublicKey:
    """Read a public key. Raises SigningKeyError for what is none, or none of Ed25519."""
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SigningKeyError(f"This is no public key in PEM: {_first_line(error)}.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise SigningKeyError("This public key is not an Ed25519 key: a portal signs with no other.")
    return PublicKey(key)


def key_in_use(home: Path, expected: str | None) -> SigningKey:
    """Return the key that signs next: the one whose fingerprint the chain expects, or a new one on first use.

    `expected` is None while nothing was ever signed. Raises SigningKeyError when the key that signed until now is
    missing, unreadable or another: a new one is never made in its place without a word.
    """
    folder = home / FOLDER
    found = _read(folder / PRIVATE)
    if found and expected in {None, found.public.fingerprint}:
        return found
    if expected is None:
        return _keep(folder / PRIVATE, SigningKey(Ed25519PrivateKey.generate()))
    after = _read(folder / NEXT)
    if after and after.public.fingerprint == expected:  # the chain records the rotation; only the renaming is left
        (folder / NEXT).replace(folder / PRIVATE)
        return after
    way = "bring it back from your backup, or record its loss in the chain by `manage.py rotate_key --lost`"
    if found is None:
        raise SigningKeyError(f"The signing key {folder / PRIVATE} ({expected[:16]}…) is missing: {way}.")
    raise SigningKeyError(
        f"The key in {folder / PRIVATE} is {found.public.fingerprint[:16]}…, "
        f"but this portal's reports are signed with {expected[:16]}…: {way}."
    )


def next_key(home: Path) -> SigningKey:
    """Return the key that a rotation brings in: made now, or by a rotation that ended before it was recorded."""
    path = home / FOLDER / NEXT
    return _read(path) or _keep(path, SigningKey(Ed25519PrivateKey.generate()))


def take_next(home: Path) -> None:
    """Put the next key in the place of the one it replaces, whose private part is gone then."""
    (home / FOLDER / NEXT).replace(home / FOLDER / PRIVATE)


def public_keys(home: Path) -> list[PublicKey]:
    """Return the public keys kept in the folder, by fingerprint; what is no key of ours there is passed over."""
    found = []
    for path in sorted((home / FOLDER).glob("*.pem"))[:1000]:
        with suppress(SigningKeyError, OSError, UnicodeDecodeError):
            key = public_key(path.read_text("ascii"))
            if path.stem == key.fingerprint:
                found.append(key)
    return found


def _read(path: Path) -> SigningKey | None:
    """Return the private key of a file, or None where there is none. Raises SigningKeyError for one that is no use."""
    try:
        mode = path.stat().st_mode
        pem = path.read_bytes()[:MOST_PEM_BYTES]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SigningKeyError(f"The signing key {path} cannot be read: {error.strerror}.") from error
    if mode & 0o077:
        raise SigningKeyError(f"The signing key {path} is open to others (mode {mode & 0o777:o}): chmod 600 {path}")
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SigningKeyError(f"{path} holds no signing key ({_first_line(error)}): restore your backup.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyError(f"{path} holds no Ed25519 key: restore your backup of the portal's own.")
    return SigningKey(key)


def _keep(path: Path, key: SigningKey) -> SigningKey:
    """Write a new key, whole or not at all; of two processes that race, both end with the first one's."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.{key.public.fingerprint[:8]}")
        pem = key.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            key = _read(path) or key
        finally:
            draft.unlink()
        (path.parent / f"{key.public.fingerprint}.pem").write_text(key.public.pem, "ascii")
    except OSError as error:
        raise SigningKeyError(
            f"The signing key {path} cannot be written ({error.strerror}): see WARTEST_HOME."
        ) from error
    return key


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
