"""A stand-in for PostgREST: it answers as the hosted one is documented to, and cuts every answer short, silently."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from audits.contract import RELATIONS
from tests.audits.books import Books

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Standin:
    """Rows by relation, the most rows of one answer, and what was asked; `change` may rewrite an answer."""

    books: Books
    cap: int = 1000
    url: str = ""
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    change: Callable[[str, Answer], Answer] | None = None
    describes: bool = True
    types: dict[str, str] = field(default_factory=dict)  # of a column, as the description tells them

    def answer(self, path: str, query: dict[str, str], headers: dict[str, str]) -> Answer:
        name = path.removeprefix("/rest/v1/")
        if headers.get("apikey") != "good key":
            return 401, {}, b'{"code":"PGRST301","message":"JWT invalid"}'
        if not name:
            properties = {column: {"format": kind} for column, kind in self.types.items()}
            definitions = {each.name: {"properties": properties} for each in RELATIONS}
            return 200, {}, json.dumps({"definitions": definitions if self.describes else None}).encode()
        if headers.get("Accept-Profile") != "wartest":
            return 406, {}, b'{"code":"PGRST106","message":"The schema must be one of the following: wartest"}'
        if name not in self.books.ledger:
            return 404, {}, b'{"code":"PGRST205","message":"Could not find the table"}'
        column, _, direction = query["order"].partition(".")
        rows = sorted(self.books.rows(name), key=lambda row: str(row[column]), reverse=direction == "desc")
        first, last = (int(number) for number in headers["Range"].split("-"))
        page = rows[first : min(last + 1, first + self.cap)]
        if first and first >= len(rows):
            return 416, {"Content-Range": f"*/{len(rows)}"}, b'{"code":"PGRST103","message":"out of range"}'
        names = [each.removesuffix("::text") for each in query["select"].split(",")]
        body = json.dumps([{each: text(row.get(each)) for each in names} for row in page]).encode()
        place = f"{first}-{first + len(page) - 1}" if page else "*"
        total = str(len(rows)) if headers.get("Prefer") == "count=exact" else "*"
        return (200 if len(page) == len(rows) else 206), {"Content-Range": f"{place}/{total}"}, body


def text(value: Any) -> str | None:
    return None if value is None else str(value)


@contextmanager
def standin(books: Books, **how: Any) -> Iterator[Standin]:
    """Serve on a free port of the loopback until the block ends."""
    serving = Standin(books, **how)

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            headers = dict(self.headers)
            headers["apikey"] = headers.get("Apikey", headers.get("apikey", ""))
            serving.asked.append((parts.path, query, headers))
            answer = serving.answer(parts.path, query, headers)
            status, more, body = serving.change(parts.path, answer) if serving.change else answer
            self.send_response(status)
            for name, value in ({"Content-Type": "application/json"} | more).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  named so by the base
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    serving.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield serving
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
