"""A program whose broker is written into it: httpx or requests, as it is told, and not a word of any proxy.

Its token and account stand in a file beside it, `settings.json`, as its port does.
"""

import http.server
import json
import pathlib
import sys

import httpx
import requests

BROKER = "https://api-fxpractice.oanda.com"
said = json.loads(pathlib.Path(sys.argv[1]).read_text())
client = {"httpx": httpx, "requests": requests}[sys.argv[2]]
ORDER = {"order": {"type": "MARKET", "instrument": "EUR_USD", "units": "100"}}


def place() -> int:
    headers = {"Authorization": f"Bearer {said['token']}"}
    url = f"{BROKER}/v3/accounts/{said['account']}/orders"
    return client.post(url, json=ORDER, headers=headers, timeout=20).status_code


class Door(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.told(200, "")

    def do_POST(self) -> None:
        try:
            url = "https://api-fxtrade.oanda.com/v3/accounts" if self.path == "/live" else None
            status = client.get(url, timeout=20).status_code if url else place()
            self.told(200 if status == 201 else 502, f"answered {status}")
        except (httpx.HTTPError, requests.RequestException) as error:
            self.told(502, f"{type(error).__name__}: {error}")

    def told(self, status: int, words: str) -> None:
        body = json.dumps({"error": words}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("127.0.0.1", int(said["port"])), Door).serve_forever()
