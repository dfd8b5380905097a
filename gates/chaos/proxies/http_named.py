"""A client that takes this proxy for its HTTPS_PROXY, or for the broker under the broker's own name.

What it asks for is only ever answered by the one server behind this proxy: nothing is passed on to the name asked for,
and for any other name than those it was started with (`--answers-for`) there is one sentence and no more.
"""

import logging
import re
import ssl
import time
from collections.abc import Collection
from dataclasses import replace
from urllib.parse import urlsplit

from gates.chaos.messages import Channel
from gates.chaos.proxies.events import Refused
from gates.chaos.proxies.http_exchanges import WebExchange, plain_answer
from gates.chaos.proxies.http_frames import Head
from gates.chaos.proxies.http_pool import Pool
from gates.chaos.proxies.http_requests import Request
from gates.chaos.proxies.http_session import WebSession
from gates.chaos.proxies.safety import is_live
from gates.chaos.proxies.switchboard import Switchboard

log = logging.getLogger("proxy")

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
REFUSED = 403
CONNECT = "CONNECT"
_SQLSTATE = re.compile(rb'"code"\s*:\s*"([0-9A-Z]{5})"')


class NamedSession(WebSession):
    """Ends tunnels here, with a certificate of the project's authority for `hosts`, and takes whole addresses apart.

    `prefix` is a path that clients know and the server does not: it is taken off.
    """

    def __init__(
        self,
        board: Switchboard,
        pool: Pool,
        tls: ssl.SSLContext | None,
        hosts: Collection[str] = (),
        prefix: str = "",
    ) -> None:
        self._hosts = hosts
        self._prefix = prefix
        super().__init__(board, pool, tls)

    def _request_complete(self, request: Request) -> None:
        head = request.head
        if head.method != CONNECT and "://" not in head.target:
            super()._request_complete(without_prefix(request, self._prefix))
            return
        why_not = refusal(head, self._hosts, tunnelled=self.client.secure)
        if why_not:
            self._refuse(why_not)
        elif head.method == CONNECT:
            self._begun = False  # what follows may begin with a TLS hello
            self.client.write(ESTABLISHED)
            if request.rest:
                self.from_client(request.rest)
        else:
            super()._request_complete(in_origin_form(request))

    def _pass_piece(self, exchange: WebExchange, piece: bytes | bytearray) -> None:
        """A ledger over HTTP tells the SQLSTATE of a refusal in its JSON, as PostgREST does."""
        if self.board.channel is Channel.LEDGER and exchange.outcome >= "4" and (found := _SQLSTATE.search(piece)):
            self.board.tell(Refused(found[1].decode(), self.number, time.monotonic()))
        super()._pass_piece(exchange, piece)

    def _refuse(self, why_not: str) -> None:
        answer = plain_answer(REFUSED, why_not.encode(), {"Content-Type": "text/plain", "Connection": "close"})
        self.client.write(answer)
        self.client_ended(why_not.rstrip("."))


def refusal(head: Head, hosts: Collection[str], *, tunnelled: bool) -> str:
    """Why a request for another name is not answered, in a sentence; "" where it is. Pure."""
    host = named(head)
    if is_live(host):
        return f"{host} is a live broker: a cell never reaches one, and nothing was passed on."
    if tunnelled and head.method == CONNECT:
        return f"{host} was asked for within a tunnel: a cell's proxy leads no further."
    if host not in hosts:
        known = ", ".join(sorted(hosts)) or "none is"
        return f"{host} is not in [chaos] hosts ({known}): name it there if it is the broker's, else a cell has none."
    return ""


def named(head: Head) -> str:
    """The host that a request asks for, in lower case; "" where it names none."""
    try:
        parts = urlsplit(f"//{head.target}" if head.method == CONNECT else head.target)
    except ValueError:
        return ""
    return (parts.hostname or "").rstrip(".")


def in_origin_form(request: Request) -> Request:
    """The request as a server gets it: `GET /v3/accounts` instead of `GET http://host/v3/accounts`. Pure."""
    parts = urlsplit(request.head.target)
    return _aimed(request, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


def without_prefix(request: Request, prefix: str) -> Request:
    """The request for what stands behind the prefix; one for anything else stays. Pure."""
    path, question, query = request.head.target.partition("?")
    if not prefix or (path != prefix and not path.startswith(f"{prefix}/")):
        return request
    return _aimed(request, (path.removeprefix(prefix) or "/") + question + query)


def _aimed(request: Request, target: str) -> Request:
    head = request.head
    first, rest = head.raw.split(b"\r\n", 1)
    version = first.rpartition(b" ")[2]
    raw = b"%b %b %b\r\n%b" % (head.method.encode(), target.encode("latin-1"), version, rest)
    return replace(request, head=replace(head, raw=raw, target=target), whole=raw + request.whole[len(head.raw) :])
