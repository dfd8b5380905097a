"""The certificates we trust, loaded once for each process: loading them takes longer than most requests."""

import functools
import ssl

import httpx


@functools.cache
def trusted() -> ssl.SSLContext:
    """Return the context that every client of ours shares. The environment cannot add certificates to it."""
    return httpx.create_ssl_context(trust_env=False)
