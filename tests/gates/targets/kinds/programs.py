"""Programs that a target may be, well and badly behaved; each takes its port as its first word."""

import sys

ANSWERS = """
import http.server, os, signal, subprocess, sys, time
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *words): pass
def serve():
    http.server.HTTPServer.allow_reuse_address = True
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
"""
WELL = f"{ANSWERS}\nserve()"
WITH_A_CHILD = f"{ANSWERS}\nprint(subprocess.Popen(['sleep', '600']).pid, flush=True)\nserve()"
IGNORES_SIGTERM = f"{ANSWERS}\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nserve()"
NEVER_READY = "import time; time.sleep(600)"
FORKS_AWAY = f"{ANSWERS}\nif os.fork():\n    time.sleep(1); os._exit(0)\nos.setsid()\nserve()"
LEAVES_ITS_PORT = f"""{ANSWERS}
http.server.HTTPServer.allow_reuse_address = True
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answers)
if os.fork() == 0:
    os.setsid()
    time.sleep(600)
server.serve_forever()
"""
PRINTS_WITHOUT_END = "import sys\nwhile True: sys.stdout.write('x' * 65536)"


def program(text):
    """Return the words that run it; `{port}` is filled in by whoever starts it."""
    return (sys.executable, "-c", text, "{port}")
