"""The project's own certificate authority: good for loopback and the hosts that a cell answers for, and no other name.

It is never installed anywhere: a program in a cell is given its file.
"""

import ipaddress
import os
import secrets
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "wartest chaos, this project and loopback only")])
NETWORKS = ("127.0.0.0/8", "::1/128")
ADDRESSES = ("127.0.0.1", "::1")
HOST = "localhost"
VALID_DAYS = 397
EARLY = timedelta(days=1)
NOT_A_CA = x509.BasicConstraints(ca=False, path_length=None)


@dataclass(frozen=True)
class Authority:
    """`certificate` is what a target trusts (SSL_CERT_FILE, NODE_EXTRA_CA_CERTS, sslrootcert), also for `hosts`."""

    certificate: Path
    key: Path
    hosts: tuple[str, ...] = ()

    @classmethod
    def in_folder(cls, folder: Path, now: datetime | None = None, *, hosts: tuple[str, ...] = ()) -> "Authority":
        """The authority kept in `folder`, made on first use or when it has run out. Raises OSError."""
        made = cls(folder / "ca.pem", folder / "ca.key", hosts)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not made.is_valid(now or datetime.now(UTC)):
            made._make(now or datetime.now(UTC))
        return made

    def is_valid(self, now: datetime) -> bool:
        """Whether both files are there and will be good for another week."""
        try:
            kept = x509.load_pem_x509_certificate(self.certificate.read_bytes())
            key = load_pem_private_key(self.key.read_bytes(), None)
        except (OSError, ValueError):
            return False
        is_whole = kept.not_valid_after_utc > now + timedelta(days=7) and key.public_key() == kept.public_key()
        return is_whole and _permits(kept, self.hosts)

    def issue_into(self, path: Path) -> Path:
        """Write what `issue` gives to a file that a proxy can be started with. Raises OSError."""
        _write(path, self.issue())
        return path

    def issue(self) -> bytes:
        """A new key and its certificate for loopback, with the authority's own behind it, as PEM."""
        now = datetime.now(UTC)
        ca_key = load_pem_private_key(self.key.read_bytes(), None)
        if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
            raise ssl.SSLError("The authority's key is not one of ours; remove its folder")
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in (HOST, *self.hosts)]
        names += [x509.IPAddress(ipaddress.ip_address(one)) for one in ADDRESSES]
        leaf = (
            _begun(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)]), key, now)
            .add_extension(NOT_A_CA, critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        return _pem(key) + leaf.public_bytes(Encoding.PEM) + self.certificate.read_bytes()

    def _make(self, now: datetime) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        permitted: list[x509.GeneralName] = [x509.DNSName(name) for name in (HOST, *self.hosts)]
        permitted += [x509.IPAddress(ipaddress.ip_network(one)) for one in NETWORKS]
        usage = dict.fromkeys(
            ("content_commitment", "data_encipherment", "decipher_only", "digital_signature", "encipher_only"), False
        )
        certificate = (
            _begun(NAME, key, now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.NameConstraints(permitted, None), critical=True)
            .add_extension(
                x509.KeyUsage(key_agreement=False, key_encipherment=False, key_cert_sign=True, crl_sign=True, **usage),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write(self.key, _pem(key))
        _write(self.certificate, certificate.public_bytes(Encoding.PEM))


def _permits(kept: x509.Certificate, hosts: tuple[str, ...]) -> bool:
    """Whether it may vouch for these names, and for none beside them and loopback."""
    try:
        found = kept.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or ()
    except x509.ExtensionNotFound:
        return False
    return {HOST, *hosts} == {each.value for each in found if isinstance(each, x509.DNSName)}


def _begun(subject: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLY)
        .not_valid_after(now + timedelta(days=VALID_DAYS))
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_bytes(content)
    os.replace(draft, path)  # noqa: PTH105  the same, with its name telling that it replaces
