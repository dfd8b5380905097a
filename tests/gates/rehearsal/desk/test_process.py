import os
import subprocess
import sys

from .processes import ROOT, end, free_port, running_desk


def test_without_its_settings_the_desk_says_which_are_missing():
    environment = {"PATH": os.environ["PATH"], "OANDA_URL": "http://127.0.0.1:1"}
    command = (sys.executable, "-m", "gates.rehearsal.desk", "--port", "1")
    ended = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=20)
    assert ended.returncode == 2
    assert "set DATABASE_URL, OANDA_TOKEN, OANDA_ACCOUNT_ID in the environment" in ended.stderr


def test_without_a_broker_health_fails_with_the_reason_and_the_desk_ends_in_time(desk_database_url):
    with running_desk(desk_database_url, f"http://127.0.0.1:{free_port()}") as desk:
        reply = desk.health()
        assert reply.status_code == 503
        report = reply.json()
        assert report["status"] == "failing"
        assert "the broker does not answer" in report["reason"]
        assert report["pid"] == desk.process.pid
        assert report["build"].startswith("sha256:")
        assert end(desk.process) < 3


def test_without_a_database_health_fails_with_the_reason():
    nowhere = f"postgresql://desk@127.0.0.1:{free_port()}/desk"
    with running_desk(nowhere, f"http://127.0.0.1:{free_port()}") as desk:
        reply = desk.health()
        assert reply.status_code == 503
        assert "the database does not answer" in reply.json()["reason"]


def test_an_unknown_operation_and_a_bad_body_are_refused_in_words(desk_database_url):
    with running_desk(desk_database_url, f"http://127.0.0.1:{free_port()}") as desk:
        assert "there is no operation 'sell'" in desk.ask("sell").json()["error"]
        bad = desk.ask("open", units="many")
        assert (bad.status_code, bad.json()["error"]) == (409, "units is 'many'; give a number")
