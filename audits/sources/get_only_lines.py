"""The door of `get_only` for answers that do not end: a stream, line by line, and nothing but GET."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import httpx

from audits.sources import BrokerError
from audits.sources.get_only import asking, demand_sendable
from audits.sources.tls import trusted

LONGEST_LINE = 1_000_000
CONNECT_LIMIT_S = 5.0


class StreamRefused(BrokerError):  # noqa: N818  reads as what is wrong
    """The broker answered with something other than a stream; the sentence names the status."""


class StreamEnded(BrokerError):  # noqa: N818  reads as what is wrong
    """The stream was cut, ended, or said nothing for too long."""


class _Transport(httpx.AsyncHTTPTransport):
    """Sends GET requests without a body to one host, with the token; raises BrokerWriteRefused for anything else."""

    def __init__(self, host: str, token: str) -> None:
        demand_sendable(token)
        super().__init__(verify=trusted(), trust_env=False)
        self._host = host
        self._token = token

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await super().handle_async_request(asking(request, self._host, self._token))

    def __repr__(self) -> str:
        return f"<_Transport to {self._host}>"


@dataclass(frozen=True, slots=True, repr=False)
class GetOnlyLines:
    """Opens streams of one host. Its repr holds no token."""

    url: str
    token: str

    def __repr__(self) -> str:
        return "<GetOnlyLines>"

    async def lines(self, path: str, params: Mapping[str, str], *, silence_s: float) -> AsyncIterator[bytes]:
        """Yield one line after another, without its end and with the token masked.

        Raises StreamRefused, and StreamEnded when the stream ends or says nothing for `silence_s` seconds.
        """
        limits = httpx.Timeout(CONNECT_LIMIT_S, read=silence_s)
        transport = _Transport(httpx.URL(self.url).host, self.token)
        client = httpx.AsyncClient(transport=transport, timeout=limits, follow_redirects=False, trust_env=False)
        headers = {"Accept-Datetime-Format": "RFC3339"}
        try:
            async with client, client.stream("GET", self.url + path, params=dict(params), headers=headers) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise StreamRefused(f"The broker answered {answer.status_code} instead of a stream.")
                async for line in _split(answer.aiter_bytes()):
                    yield line.replace(self.token.encode("ascii"), b"[the token]")
        except httpx.TimeoutException:
            raise StreamEnded(f"The stream said nothing for {silence_s:g} s.") from None
        except httpx.HTTPError as error:
            raise StreamEnded(f"The stream was cut: {type(error).__name__}.") from None
        raise StreamEnded("The stream was closed by the broker.")


async def _split(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield whole lines. Raises StreamEnded for one without an end."""
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line.strip():
                yield line
        if len(rest) > LONGEST_LINE:
            raise StreamEnded(f"The stream sent more than {LONGEST_LINE} bytes without an end of line.")
