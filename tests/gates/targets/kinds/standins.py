"""Stand-ins for what no test machine runs: they speak the protocol that our libraries speak, and keep what was asked.

Named as such: a Docker Engine over a unix socket, a Kubernetes API over HTTP, a `systemctl` on the PATH. The processes
behind them are real.
"""

import json
import os
import signal
import socketserver
import subprocess
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

MADE_AT = "2026-11-22T12:00:00Z"
NOBODY = "0001-01-01T00:00:00Z"


class Answering(BaseHTTPRequestHandler):
    """Hands each request to the stand-in's `answer(method, path, query, body) -> (status, JSON or bytes)`."""

    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "here"

    def log_message(self, *words):
        pass

    def _answer(self):
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.server.standin.asked.append(f"{self.command} {self.path}")
        status, told = self.server.standin.answer(self.command, parts.path, parse_qs(parts.query), body)
        content = told if isinstance(told, bytes) else json.dumps(told).encode() if told is not None else b""
        self.send_response(status)
        kind = "text/plain" if isinstance(told, bytes) else "application/json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = do_HEAD = _answer  # noqa: N815  the library's names


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@contextmanager
def serving(server, standin):
    server.standin = standin
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


class Sleeper:
    """A real process of our own."""

    def __init__(self):
        self.process = None

    def start(self):
        if not self.alive:
            self.process = subprocess.Popen(["sleep", "600"])
            self.started_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")

    def signal(self, wanted):
        if self.alive:
            self.process.send_signal(wanted)
            self.process.wait(20)

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None


class DockerEngine:
    """One container, `fx-desk`; of the Engine's API what the library asks for."""

    def __init__(self, *, path="/srv/desk", policy="no"):
        self.asked, self.sleeper, self.path, self.policy = [], Sleeper(), path, policy

    def answer(self, method, path, query, body):
        place = path.partition("/containers/")[2] or path.rpartition("/")[2]
        if place in ("version", "_ping"):
            return 200, {"ApiVersion": "1.44", "MinAPIVersion": "1.24", "Version": "27"}
        if not place.startswith("fx-desk"):
            return 404, {"message": "No such container"}
        verb = place.partition("/")[2]
        if verb == "json":
            return 200, self._shape()
        if verb == "logs":
            line = b"the desk speaks\n"
            return 200, b"\x01\0\0\0" + len(line).to_bytes(4, "big") + line
        if verb == "start":
            self.sleeper.start()
        elif verb == "kill":
            self.sleeper.signal(signal.Signals[query["signal"][0]])
        elif verb == "stop":
            self.sleeper.signal(signal.SIGTERM)
        return 204, None

    def _shape(self):
        alive, process = self.sleeper.alive, self.sleeper.process
        state = {
            "Running": alive,
            "Paused": False,
            "Pid": process.pid if alive else 0,
            "StartedAt": self.sleeper.started_at if process else NOBODY,
            "ExitCode": 0 if process is None or alive else 143,
        }
        return {
            "Id": "fx-desk",
            "Name": "/fx-desk",
            "Path": self.path,
            "State": state,
            "Config": {"Tty": False},
            "HostConfig": {"RestartPolicy": {"Name": self.policy}, "LogConfig": {"Type": "json-file"}},
        }


class KubernetesApi:
    """One deployment, `fx-desk`, whose pod comes back by itself as long as one is wanted."""

    def __init__(self, *, replicas=1):
        self.asked, self.wanted, self.life = [], replicas, 1

    def answer(self, method, path, query, body):
        if path.endswith("/deployments/fx-desk") and method == "GET":
            labels = {"matchLabels": {"app": "fx-desk"}}
            return 200, {"metadata": {"name": "fx-desk"}, "spec": self._spec(labels)}
        if path.endswith("/deployments/fx-desk/scale"):
            self.wanted = json.loads(body)["spec"]["replicas"]
            return 200, {"metadata": {"name": "fx-desk"}, "spec": {"replicas": self.wanted}}
        if path.endswith("/pods") and query["labelSelector"] == ["app=fx-desk"]:
            return 200, {"items": [self._pod()] if self.wanted else []}
        if method == "DELETE":
            deleted = self._pod()
            self.life += 1
            return 200, deleted
        if path.endswith("/log"):
            return 200, f"life {self.life}".encode()
        return 404, {"kind": "Status", "reason": "NotFound", "code": 404}

    def _spec(self, labels):
        template = {"spec": {"containers": [{"name": "desk", "image": "desk"}]}}
        return {"replicas": self.wanted, "selector": labels, "template": template}

    def _pod(self):
        status = {
            "name": "desk",
            "ready": True,
            "restartCount": 2,
            "image": "desk",
            "imageID": "desk",
            "state": {"running": {"startedAt": "2026-11-22T12:00:00Z"}},
        }
        metadata = {
            "name": f"fx-desk-{self.life}",
            "uid": f"uid-{self.life}",
            "creationTimestamp": "2026-11-22T12:00:00Z",
        }
        spec = {"containers": [{"name": "desk", "image": "desk"}]}
        return {"metadata": metadata, "spec": spec, "status": {"phase": "Running", "containerStatuses": [status]}}


@contextmanager
def docker_engine(folder, **how):
    """Yields the stand-in and the address of its socket."""
    standin, path = DockerEngine(**how), str(folder / "docker.sock")
    with serving(UnixServer(path, Answering), standin):
        try:
            yield standin, f"unix://{path}"
        finally:
            standin.sleeper.signal(signal.SIGKILL)


@contextmanager
def kubernetes_api(folder, **how):
    """Yields the stand-in; a kubeconfig that leads to it is in KUBECONFIG meanwhile."""
    standin, server = KubernetesApi(**how), ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "me", "user": {"token": "a-token"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
    }
    (folder / "kubeconfig").write_text(json.dumps(config))
    with serving(server, standin):
        yield standin, folder / "kubeconfig"


SYSTEMCTL = """#!/usr/bin/env python3
import json, os, pathlib, signal, subprocess, sys
place = pathlib.Path(os.path.dirname(os.path.abspath(sys.argv[0])))
words = [word for word in sys.argv[1:] if not word.startswith("--no-pager") and word != "--user"]
with (place / "asked").open("a") as asked: asked.write(" ".join(sys.argv[1:]) + "\\n")
verb, unit = words[0], words[-1]
state = json.loads((place / "state").read_text())
pid = state["pid"]
def alive():
    try:
        return pid and open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
if unit != "fx-desk.service":
    print("LoadState=not-found"); sys.exit(0)
if verb == "show":
    print("LoadState=loaded"); print("ActiveState=" + ("active" if alive() else state["dead"]))
    print("MainPID=" + str(pid if alive() else 0)); print("Restart=" + state["restart"]); print("Result=success")
elif verb == "reset-failed":
    state["starts"] = 0
elif verb == "start":
    if state["starts"] >= 2:
        print("Job failed: start request repeated too quickly."); sys.exit(1)
    state["starts"] += 1
    state["pid"] = subprocess.Popen(["sleep", "600"], start_new_session=True, stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL).pid
elif verb in ("stop", "kill"):
    os.kill(pid, signal.SIGKILL if "--signal=SIGKILL" in words else signal.SIGTERM)
(place / "state").write_text(json.dumps(state))
"""


@contextmanager
def systemctl(folder, *, restart="no"):
    """Yields the folder to put on the PATH: a `systemctl` with one unit, `fx-desk.service`, and what it was asked."""
    program = folder / "systemctl"
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)
    (folder / "state").write_text(json.dumps({"pid": 0, "starts": 0, "dead": "inactive", "restart": restart}))
    try:
        yield folder
    finally:
        pid = json.loads((folder / "state").read_text())["pid"]
        with suppress(ProcessLookupError):
            if pid:
                os.kill(pid, signal.SIGKILL)
