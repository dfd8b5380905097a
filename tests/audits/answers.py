"""A tiny HTTP server that answers what a test tells it to, for answers no honest broker gives (a stand-in)."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, str, bytes]


def as_json(content: Any, status: int = 200) -> Answer:
    return status, "application/json", json.dumps(content).encode()


@dataclass
class Answers:
    """`answer(path, query)` gives status, content type and body; `asked` is what came: verb, path, query."""

    answer: Callable[[str, dict[str, str]], Answer]
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


@contextmanager
def answering(answer: Callable[[str, dict[str, str]], Answer]) -> Iterator[Answers]:
    """Serve on a free port of the loopback until the block ends."""
    answers = Answers(answer)

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            answers.asked.append((self.command, parts.path, query))
            answers.headers.append(dict(self.headers))
            status, kind, body = answers.answer(parts.path, query)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  named so by the base
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    answers.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield answers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
