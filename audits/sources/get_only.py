"""The one door to a broker: GET to one host, and nothing else, by construction.

Two walls. `GetOnly` has one method, and it takes no verb. Behind it stands a transport that looks at every request
once more, before a connection is opened: another verb, a body, or another host is refused, whoever asked. The token is
known to that transport alone; it is in no header of the client, no exception, no log line and no repr.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from audits.sources import BrokerError
from audits.sources.tls import trusted

ALLOWED = "GET"


class BrokerWriteRefused(BrokerError):  # noqa: N818  reads as what is wrong
    """Something other than a GET to the broker's own host was about to be sent; nothing was."""


class TokenUnusable(BrokerError):  # noqa: N818  reads as what is wrong
    """The token cannot be sent as it is; the sentence says why and does not hold it."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer: the status, the whole body, what it says it is, and its Date as it was written, if it had one."""

    status: int
    content: bytes
    content_type: str
    date: str = ""


def asking(request: httpx.Request, host: str, token: str) -> httpx.Request:
    """Return the request with the token. Raises BrokerWriteRefused where it is more than a question to that host."""
    if request.method != ALLOWED:
        raise BrokerWriteRefused(f"A {request.method[:20]} request to the broker was refused: only GET is sent.")
    if request.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in request.headers:
        raise BrokerWriteRefused("A request with a body was refused: nothing is sent to a broker but questions.")
    if request.url.host != host:
        raise BrokerWriteRefused(f"A request to {request.url.host} was refused: the token is for {host}.")
    headers = [*request.headers.raw, (b"Authorization", b"Bearer " + token.encode("ascii"))]
    return httpx.Request(ALLOWED, request.url, headers=headers, extensions=request.extensions)


class GetOnlyTransport(httpx.HTTPTransport):
    """Sends GET requests without a body to one host, with the token; raises BrokerWriteRefused for anything else."""

    def __init__(self, host: str, token: str) -> None:
        demand_sendable(token)
        super().__init__(verify=trusted(), trust_env=False)
        self._host = host
        self._token = token

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Look at the request before a byte leaves; the token is added to a copy, which no exception of httpx holds."""
        return super().handle_request(asking(request, self._host, self._token))

    def without_token(self, content: bytes) -> bytes:
        """Return the answer with the token masked: a server that says it back would have it stored with its words."""
        return content.replace(self._token.encode("ascii"), b"[the token]")

    def __repr__(self) -> str:
        return f"<GetOnlyTransport to {self._host}>"


class GetOnly:
    """A client that can ask and cannot do: its only verb is `get`.

    Raises TokenUnusable, and ValueError or httpx.InvalidURL for an address that is none.
    """

    __slots__ = ("_asking", "_transport")

    def __init__(self, url: str, token: str, *, timeout_s: float) -> None:
        self._transport = GetOnlyTransport(httpx.URL(url).host, token)
        self._asking = httpx.Client(
            transport=self._transport,
            headers={"Accept-Datetime-Format": "RFC3339"},
            timeout=timeout_s,
            follow_redirects=False,
            trust_env=False,  # a proxy in the environment must not see the token
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return "<GetOnly>"

    def get(self, url: str, params: Mapping[str, str]) -> Answered:
        """Send one GET. Raises httpx's errors."""
        answer = self._asking.get(url, params=dict(params))
        content = self._transport.without_token(answer.content)
        told = answer.headers
        return Answered(answer.status_code, content, told.get("content-type", "no content type"), told.get("date", ""))

    def close(self) -> None:
        """Close the connections."""
        self._asking.close()


def demand_sendable(token: str) -> None:
    """Raise TokenUnusable where an HTTP library would refuse the header, and say the whole of it in its error."""
    if not token or not all("!" <= letter <= "~" for letter in token):
        what = "is empty" if not token else "holds a space, a line break or a letter beyond ASCII"
        raise TokenUnusable(f"The broker's token {what}, so it cannot be sent: set it again where the portal runs.")
