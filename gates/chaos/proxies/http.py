"""`python -m gates.chaos.proxies.http`: a proxy before the target's broker, or before a ledger that speaks HTTP.

Plain or TLS to the client on one port (TLS where it is given a certificate), plain or TLS to the server.
It stands in for the names that it `--answers-for`: for a client that has it as its HTTPS_PROXY, or looks them up here.
"""

import ssl
import sys
from pathlib import Path

from gates.chaos.messages import Channel
from gates.chaos.proxies.http_named import NamedSession
from gates.chaos.proxies.http_pool import Origin, Pool
from gates.chaos.proxies.safety import is_loopback
from gates.chaos.proxies.serving import COULD_NOT_START, NewSession, arguments, serve, shown_to_clients
from gates.chaos.proxies.switchboard import Switchboard

ALPN = ["http/1.1"]


def main() -> int:
    parser = arguments("http", __doc__)
    parser.add_argument("--channel", type=Channel, choices=list(Channel), default=Channel.BROKER)
    parser.add_argument("--upstream-ca", type=Path, help="certificates that vouch for the server; else the system's")
    parser.add_argument("--answers-for", action="append", default=[], help="a host's name; may be repeated")
    parser.add_argument("--prefix", default="", help="a path that the server does not know, taken off")
    options = parser.parse_args()
    hosts = tuple(host.lower() for host in options.answers_for)
    try:
        met = shown_to_clients(options.certificate, None, ALPN) if options.certificate else None
        to_server = ssl.create_default_context(cafile=options.upstream_ca) if options.upstream_tls else None
    except OSError as error:
        sys.stderr.write(f"The {options.channel} proxy cannot start: its certificates cannot be used ({error})\n")
        return COULD_NOT_START
    if to_server is not None:
        to_server.set_alpn_protocols(ALPN)

    def new_sessions(address: str) -> NewSession:
        name = options.upstream.host
        # Another machine goes by its own name; on loopback the target's word for it gives links that lead back here.
        host = None if is_loopback(address) else f"{name}:{options.upstream.port}".removesuffix(":443").encode()
        pool = Pool(Origin(address, options.upstream.port, name, to_server, host))

        def new_session(board: Switchboard) -> NamedSession:
            board.pool = pool
            return NamedSession(board, pool, met, hosts, options.prefix)

        return new_session

    return serve(options, options.channel, new_sessions)


if __name__ == "__main__":
    sys.exit(main())
