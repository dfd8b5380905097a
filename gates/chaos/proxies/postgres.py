"""`python -m gates.chaos.proxies.postgres`: a proxy on the target's boundary to its ledger, on the PostgreSQL wire.

TLS to the client where it asks and there is a certificate (of the project's authority, or the server's own key pair so
that channel binding holds), plain or TLS to the server.
"""

import argparse
import ssl
import sys
from pathlib import Path

from gates.chaos.messages import Channel
from gates.chaos.proxies.pg_opening import Opening
from gates.chaos.proxies.pg_session import LedgerSession
from gates.chaos.proxies.pg_startup import Ears, Upstream
from gates.chaos.proxies.serving import COULD_NOT_START, NewSession, arguments, serve, shown_to_clients
from gates.chaos.proxies.switchboard import Switchboard

ALPN = ["postgresql"]


def ears(options: argparse.Namespace) -> Ears:
    """How clients are met. Raises OSError."""
    if options.server_certificate:
        return Ears(shown_to_clients(options.server_certificate, options.server_key, ALPN), own_key=True)
    return Ears(shown_to_clients(options.certificate, None, ALPN) if options.certificate else None)


def to_server() -> ssl.SSLContext:
    """TLS as libpq's `sslmode=require`: encrypted, the certificate taken as it is; the address was checked before."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(ALPN)
    return context


def main() -> int:
    parser = arguments("postgres", __doc__)
    parser.add_argument("--server-certificate", type=Path, help="the server's own, so that channel binding holds")
    parser.add_argument("--server-key", type=Path)
    options = parser.parse_args()
    try:
        met = ears(options)
    except OSError as error:
        sys.stderr.write(f"The ledger proxy cannot start: its certificate cannot be used ({error})\n")
        return COULD_NOT_START

    def new_sessions(address: str) -> NewSession:
        upstream = Upstream(address, options.upstream.port, to_server() if options.upstream_tls else None)

        def new_session(board: Switchboard) -> LedgerSession:
            session = LedgerSession(board)
            Opening(session, met, upstream)
            return session

        return new_session

    return serve(options, Channel.LEDGER, new_sessions)


if __name__ == "__main__":
    sys.exit(main())
