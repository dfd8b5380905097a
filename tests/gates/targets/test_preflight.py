"""Preflight: each need is met by a desk that runs, and each one broken in turn is said with the next step."""

import json
import os
import signal
import socket
import sys
from datetime import UTC, datetime, timedelta
from io import StringIO

import psycopg
import pytest
from django.core.management import call_command

from gates.models import Preflight, Target
from gates.targets.preflight.account import environment
from gates.targets.preflight.books import clock_need, next_step
from gates.targets.preflight.identity import differences
from gates.targets.preflight.look import Look
from gates.targets.preflight.trying import tried

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def variables(place, monkeypatch):
    for name, value in place.variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def looked(place, variables, tmp_path, db):
    def look(*, cell=False, **sections):
        spec = place.spec | {name: place.spec.get(name, {}) | changed for name, changed in sections.items()}
        target, _ = Target.objects.update_or_create(name="fx-desk", defaults={"spec": spec, "created_at": NOW})
        look = Look(target, tmp_path)
        return {need.name: need for need in look.needs(cell=cell)}, look.keep(NOW)

    return look


def unmet(needs):
    return [name for name, need in needs.items() if need.met is False]


def test_a_desk_that_runs_meets_every_need_and_the_row_says_so(looked):
    needs, row = looked(cell=True)
    # Without [production] nothing shows what the environment is like, and nobody who is away hears of an alert: neither
    # is a need met, and neither keeps anybody waiting.
    assert [need.name for need in needs.values() if not need.met] == ["like production", "critical alerts"]
    assert "add_route NAME env:VARIABLE" in needs["critical alerts"].words
    assert needs["like production"].met is None
    assert row.met
    assert Preflight.objects.get().lines[0] == {
        "group": "description",
        "need": "description",
        "met": True,
        "words": "4 sections, 3 secrets by name",
    }
    assert "messages went through it" in needs["proxy to the books"].words
    assert needs["wartest.positions"].words == "1 row"
    assert row.identity["ledger_kind"] == "postgresql"
    kept = json.dumps([row.lines, row.identity])
    assert os.environ["OANDA_API_KEY"] not in kept
    assert os.environ["LEDGER_URL"] not in kept


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


BROKEN = [
    ("ledger", {"url": f"postgresql://desk@127.0.0.1:{closed_port()}/x"}, "ledger answers", "start PostgreSQL"),
    ("ledger", {"schema": "none"}, "none.accounts", "create the views"),
    ("broker", {"token": "wrong"}, "account answers", "correct [broker]"),
    ("broker", {"account": "101-001-9999999-001"}, "account answers", "correct [broker]"),
    ("broker", {"url": f"http://127.0.0.1:{closed_port()}"}, "account answers", "correct [broker]"),
    ("process", {"health": f"http://127.0.0.1:{closed_port()}/health"}, "health", "start it, or correct"),
    ("process", {"health": ""}, "health", "add [process] health"),
    ("process", {"kind": "upstart"}, "description", "run add_target again"),
    ("production", {"file": "/none/such.json"}, "like production", "cannot be read"),
]


@pytest.mark.parametrize(("section", "changed", "need", "words"), BROKEN)
def test_a_broken_need_is_said_with_the_next_step(looked, section, changed, need, words):
    needs, row = looked(**{section: changed})
    assert need in unmet(needs), needs
    assert words in needs[need].words
    assert not row.met


def test_a_secret_that_is_not_there_is_named_and_what_rests_on_it_is_not_looked_at(looked, monkeypatch):
    monkeypatch.delenv("OANDA_API_KEY")
    needs, _ = looked()
    assert "not set" in needs["env:OANDA_API_KEY"].words
    assert "ledger answers" not in needs


def test_books_that_lie_about_types_or_lack_a_column_are_named_one_by_one(looked, place):
    with psycopg.connect(place.ledger_url, autocommit=True) as ledger:
        ledger.execute("DROP SCHEMA IF EXISTS lying CASCADE")
        ledger.execute("CREATE SCHEMA lying")
        names = ("orders", "executions", "positions", "position_events", "balance_events", "reconciliations")
        for name in names:
            ledger.execute(f"CREATE VIEW lying.{name} AS SELECT * FROM wartest.{name}")
        ledger.execute(
            "CREATE VIEW lying.accounts AS SELECT account_id, currency, balance::float8 FROM wartest.accounts"
        )
        ledger.execute("DROP VIEW lying.orders")
    needs, _ = looked(ledger={"schema": "lying"})
    assert "opening_balance" in needs["lying.accounts"].words
    assert "create the view" in needs["lying.orders"].words
    assert needs["lying.positions"].met


def test_the_portals_own_server_is_refused(looked, postgres_server):
    needs, _ = looked(ledger={"url": postgres_server.url("postgres")})
    assert "portal's own PostgreSQL" in needs["a server of its own"].words


@pytest.mark.parametrize(
    ("program", "need", "words"),
    [
        (["/none/such"], "cell", "[process] command begins with /none/such, which is not on this machine"),
        ([sys.executable, "-c", "raise SystemExit('no config')"], "starts", "no config"),
        ([sys.executable, "-c", "import time; time.sleep(600)"], "starts", "does not answer"),
    ],
)
def test_a_program_that_does_not_start_is_said_in_bounded_time(place, variables, program, need, words):
    spec = place.spec | {"process": place.spec["process"] | {"command": program, "start_limit_s": 3.0}}
    needs = {found.name: found for found in tried(spec)}
    assert words in needs[need].words
    assert needs[need].met is False


STUBBORN = """
import http.server, os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    do_POST = do_GET
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
"""


def test_a_program_that_ignores_sigterm_and_no_proxy_is_said(place, variables):
    process = place.spec["process"] | {"command": [sys.executable, "-c", STUBBORN, "{port}"], "stop_limit_s": 1.0}
    needs = {found.name: found for found in tried(place.spec | {"process": process})}
    assert needs["operation open"].met
    assert "ignored SIGTERM for 1 s" in needs["stops"].words
    assert "{ledger_url} in [process] environment" in needs["proxy to the books"].words
    assert needs["books afterwards"].met is not True
    assert needs["dies of a kill"].met
    assert needs["starts again"].met


FORKED = """
import http.server, os, signal, subprocess, sys, time
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    do_POST = do_GET
port, told, lives_on = int(sys.argv[1]), sys.argv[2], sys.argv[3]
server = http.server.HTTPServer(("127.0.0.1", port), Answers)
if os.fork() == 0:
    os.setsid()
    between = os.getpid()
    if os.fork() == 0:
        while os.getppid() == between:
            time.sleep(0.01)
        os.execve(sys.executable, [sys.executable, "-c", lives_on, str(port), told, os.environ["DATABASE_URL"]], dict())
    os._exit(0)
os.wait()
while not os.path.exists(told):
    time.sleep(0.01)
server.serve_forever()
"""
HOLDS_A_SESSION = """
import os, sys, time, psycopg
held = psycopg.connect(sys.argv[3])
open(sys.argv[2], "x").write(str(os.getpid()))
time.sleep(600)
"""
STARTS_IT_AGAIN = """
import http.server, os, sys, time
open(sys.argv[2], "x").write(str(os.getpid()))
class Answers(http.server.BaseHTTPRequestHandler):
    pass
while True:
    try:
        http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
    except OSError:
        time.sleep(0.1)
"""


@pytest.mark.parametrize(
    ("lives_on", "words"),
    [
        (HOLDS_A_SESSION, "somebody still holds a connection to the books: "),
        (STARTS_IT_AGAIN, "its port is still taken by process {pid}: "),
    ],
)
def test_what_lives_on_when_the_program_is_killed_is_said_with_what_to_do(place, variables, tmp_path, lives_on, words):
    told = tmp_path / "pid"
    process = place.spec["process"] | {"command": [sys.executable, "-c", FORKED, "{port}", str(told), lives_on]}
    try:
        needs = {found.name: found for found in tried(place.spec | {"process": process})}
    finally:
        pid = told.read_text() if told.exists() else ""
        if pid:
            os.kill(int(pid), signal.SIGKILL)
    assert needs["starts"].met, needs
    assert needs["operation open"].met
    killed = needs["dies of a kill"]
    assert not killed.met
    assert killed.words.startswith(words.format(pid=pid) + "let [process] command be the program itself")
    assert "starts again" not in needs


def test_what_a_server_says_becomes_a_next_step_without_the_address():
    refused = Exception('connection failed: FATAL:  password authentication failed for user "desk"')
    assert next_step(refused, "[ledger] url").endswith("the password is wrong: correct it in [ledger] url")


def test_clocks_apart_and_hosts_that_disagree_are_said():
    late = clock_need("broker", "clock", datetime.now(UTC) - timedelta(minutes=2))
    assert (late.met, "behind ours" in late.words) == (False, True)
    assert clock_need("broker", "clock", None).met is None
    assert environment("https://api-fxtrade.oanda.com", "101-1-1-1").met is False
    assert "only ever asked" in environment("https://api-fxtrade.oanda.com", "001-1-1-1").words
    assert environment("https://broker.example.org", "1").met is None


def test_only_what_is_not_alike_differs_and_what_one_does_not_know_is_named():
    assert differences({"a": 1, "b": "x"}, {"a": "1", "b": "y", "c": 2}) == [
        {"fact": "b", "here": "x", "production": "y"},
        {"fact": "c", "here": "not known", "production": "2"},
    ]
    assert differences({"a": 1}, {}) == []


@pytest.mark.django_db
def test_the_command_says_that_there_is_no_such_target(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://given")
    said = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("preflight", target="none", no_cell=True, stdout=said)
    assert ended.value.code == 2
    assert "NOT   target none: There is no target 'none'" in said.getvalue()
