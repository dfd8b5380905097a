"""Chaos stays on this machine or on hosts named for it, and never before a live broker."""

import ipaddress
import ssl
import subprocess
import sys
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from gates.chaos.cells.brokers import Simulator
from gates.chaos.cells.ledgers import LedgerServer
from gates.chaos.cells.premises import Premises, boundaries
from gates.chaos.messages import Channel
from gates.chaos.proxies.authority import Authority
from gates.chaos.proxies.safety import UnsafeError, is_live, refuse_listening, safe_address
from gates.chaos.safety import demand_safe
from gates.targets.asks import Ask
from gates.targets.programs import Program


@pytest.mark.parametrize(
    "host",
    [
        "api-fxtrade.oanda.com",
        "stream-fxtrade.oanda.com",
        "API-FXTRADE.OANDA.COM.",
        "api-fxtrade.oanda.com:443",
        "api.alpaca.markets",
    ],
)
def test_a_live_broker_is_refused_whatever_the_settings_say(host: str):
    assert is_live(host)
    with pytest.raises(UnsafeError, match="live broker"):
        safe_address(host, 443, {host, host.lower(), "*"})


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost", "[::1]:80", "api-fxpractice.oanda.com", "::1", "paper-api.alpaca.markets"]
)
def test_other_hosts_are_not_taken_for_a_live_broker(host: str):
    assert not is_live(host)


def test_another_machine_is_refused_unless_it_is_allowed():
    with pytest.raises(UnsafeError, match=r"neither loopback nor in chaos\.allowed_hosts"):
        safe_address("192.0.2.7", 5432, set())
    assert safe_address("192.0.2.7", 5432, {"192.0.2.7"}) == "192.0.2.7"
    assert safe_address("localhost", 5432, set()) in {"127.0.0.1", "::1"}


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::"])
def test_a_proxy_listens_on_loopback_only(host: str):
    with pytest.raises(UnsafeError, match="loopback only"):
        refuse_listening(host)


@pytest.mark.parametrize("wire", ["postgres", "http"])
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--upstream", "192.0.2.7:5432"], "allowed_hosts"),
        (["--upstream", "stream-fxtrade.oanda.com:443", "--allowed-host", "stream-fxtrade.oanda.com"], "live broker"),
        (["--upstream", "127.0.0.1:1", "--listen", "0.0.0.0:0"], "loopback only"),
    ],
)
def test_a_proxy_in_an_unsafe_place_does_not_start(wire: str, options: list[str], says: str, tmp_path: Path):
    command = [sys.executable, "-m", f"gates.chaos.proxies.{wire}", "--control", str(tmp_path / "control"), *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert says in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def leaf(authority: Authority, name: x509.GeneralName) -> x509.Certificate:
    """A certificate for `name`, signed with the authority's key by a thief."""
    ca = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    ca_key = load_pem_private_key(authority.key.read_bytes(), None)
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")]))
        .issuer_name(ca.subject)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


KEY = ec.generate_private_key(ec.SECP256R1())


def handshake(authority: Authority, name: x509.GeneralName, host: str, tmp_path: Path) -> None:
    """A TLS handshake in memory with a server that shows such a certificate. Raises ssl.SSLError."""
    shown = tmp_path / "leaf.pem"
    key = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    shown.write_bytes(key + leaf(authority, name).public_bytes(Encoding.PEM))
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(shown)
    client_context = ssl.create_default_context(cafile=str(authority.certificate))
    client_context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(down, up, server_hostname=host)
    server = server_context.wrap_bio(up, down, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue


def test_a_ledger_server_that_chaos_may_use_is_one_that_its_proxy_may_stand_before(tmp_path: Path):
    program = Program(command=("desk",), environment={}, ready="http://127.0.0.1:9/", operations={})
    ledgers, simulator = LedgerServer("postgresql://books.example:5432/"), Simulator("http://127.0.0.1:9", "", "")
    premises = Premises(program, ledgers, simulator, tmp_path, allowed_hosts=("books.example",))
    wires = boundaries(premises, 1)
    assert wires[Channel.LEDGER][:4] == ("postgres", "books.example:5432", "--allowed-host", "books.example")
    assert "--allowed-host" not in wires[Channel.BROKER]


HERE = "http://127.0.0.1:{port}/up"


@pytest.mark.parametrize(
    ("ready", "post", "words"),
    [
        ("http://desk.example:8010/up", "http://desk.example:8010/open", "ready is at desk.example"),
        (HERE, "http://desk.example:{port}/open", "open asks another address than"),
        (HERE, "http://127.0.0.1:8010/open", "open asks another address than"),
        (HERE, "http://127.0.0.1:{port}@desk.example/open", "open asks another address than"),
        (HERE, "http://localhost:{port}/open", ""),
        ("http://localhost:8010/up", "http://127.0.0.1:8010/open", ""),
        (HERE, "", ""),
    ],
)
def test_nobody_but_the_program_in_the_cell_is_asked_to_trade(ready: str, post: str, words: str):
    program = Program(("desk",), environment={}, ready=ready, operations={"open": Ask(post=post, command=("ask",))})
    refused = pytest.raises(UnsafeError, match=words) if words else nullcontext()
    with refused:
        demand_safe(program, "127.0.0.1", ())


def test_the_authority_vouches_for_loopback_and_for_nothing_else(tmp_path: Path):
    authority = Authority.in_folder(tmp_path / "authority")
    handshake(authority, x509.DNSName("localhost"), "localhost", tmp_path)
    handshake(authority, x509.IPAddress(ipaddress.ip_address("127.0.0.1")), "127.0.0.1", tmp_path)
    for name, host in (
        (x509.DNSName("api-fxtrade.oanda.com"), "api-fxtrade.oanda.com"),
        (x509.IPAddress(ipaddress.ip_address("192.0.2.1")), "192.0.2.1"),
    ):
        with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
            handshake(authority, name, host, tmp_path)


def test_the_authority_is_kept_private_and_made_anew_when_it_runs_out(tmp_path: Path):
    authority = Authority.in_folder(tmp_path)
    assert authority.key.stat().st_mode & 0o077 == 0
    first = authority.certificate.read_bytes()
    assert Authority.in_folder(tmp_path).certificate.read_bytes() == first
    assert Authority.in_folder(tmp_path, now=datetime.now(UTC) + timedelta(days=395)).certificate.read_bytes() != first
