"""A planted defect, for real: the campaign stops, its incident is worked through, and a new campaign follows it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg

from tests.gates.rehearsal.desk.processes import wait_until
from tests.gates.test_gate_1 import ROOT, Portal, own_desk, portal  # noqa: F401 - a fixture

DEFECT = "sequence-gap"
SET_UP = """
import django; django.setup()
from django.contrib.auth.models import User
from django.utils import timezone
from gates.incidents import commands
from gates.models import *
engineer, _ = User.objects.get_or_create(username="ellen")
owner, _ = User.objects.get_or_create(username="otto")
incident = Incident.objects.select_related("campaign__target").get()
now = timezone.now()
"""
INVESTIGATE = """
found = Finding.objects.filter(run__campaign=incident.campaign).values_list("pk", flat=True)[:1]
commands.investigate(incident.pk, cause="Numbers are given twice.", findings=found, person=engineer, now=now)
"""
TOO_EARLY = """
try:
    commands.fix(incident.pk, words="x", build=commands.build_now(incident.campaign), person=engineer, now=now)
except commands.IncidentRefusedError as error:
    print(error)
"""
FIX_AND_PROVE = f"""
commands.fix(incident.pk, words="One lock.", build=commands.build_now(incident.campaign), person=engineer, now=now)
commands.ask_for_proof(incident.pk, test="{DEFECT}", person=engineer, now=now)
"""
ACCEPT_AND_APPROVE = """
commands.accept_proof(incident.pk, person=engineer, now=now)
commands.approve_restart(incident.pk, words="It failed before and passes now.", person=owner, now=now)
"""


def in_portal(portal: Portal, code: str) -> str:  # noqa: F811 - the fixture's name
    env = os.environ | portal.services.env | {"DJANGO_SETTINGS_MODULE": "wartest_site.settings"}
    argv = [sys.executable, "-c", SET_UP + code]
    return subprocess.run(argv, cwd=ROOT, env=env, text=True, capture_output=True, check=True, timeout=60).stdout


def phase_7(portal: Portal, target: str) -> subprocess.Popen[str]:  # noqa: F811
    argv = ("run_phase_7", "--target", target, "--profile", "smoke", "--reports-dir", str(portal.home / "phase-7"))
    return portal.start("manage.py", *argv)


def test_a_defect_stops_the_campaign_and_an_incident_leads_to_the_next_one(portal):  # noqa: F811
    prevention = {"command": [sys.executable, "-m", "wartest_site.prevention", "{build}", "{test}"], "limit_s": 300}
    with own_desk(portal, "defective", "--defect", DEFECT) as defective:
        with psycopg.connect(portal.services.env["DATABASE_URL"]) as connection:
            connection.execute(
                "UPDATE gates_target SET spec = spec || %s WHERE name = 'defective'",
                (json.dumps({"prevention": prevention}),),
            )
        said, complained = phase_7(portal, "defective").communicate(timeout=300)
        report = json.loads(Path(said.splitlines()[-1]).read_text())
        assert (report["kind"], report["verdict"]) == ("phase-7-failure", "failed"), complained
        assert [line["measured"].split()[0] for line in report["criteria"]] == ["failed", "not", "not", "stopped"]
        wait_until(lambda: portal.rows("SELECT 1 FROM gates_incident"), what="an incident is open", limit_s=60)
        assert "the build that failed" in in_portal(portal, INVESTIGATE + TOO_EARLY)
    with own_desk(portal, "mended") as mended:
        with psycopg.connect(portal.services.env["DATABASE_URL"]) as connection:
            connection.execute(
                "UPDATE gates_target SET spec = (SELECT spec FROM gates_target WHERE name = 'mended') || %s "
                "WHERE name = 'defective'",
                (json.dumps({"prevention": prevention}),),
            )
        in_portal(portal, FIX_AND_PROVE)
        open_proofs = "SELECT 1 FROM gates_proof WHERE state <> 'done'"
        wait_until(lambda: not portal.rows(open_proofs), what="both builds were tested", limit_s=300)
        proofs = portal.rows("SELECT verdict, output FROM gates_proof ORDER BY id")
        assert [verdict for verdict, _ in proofs] == ["failed", "passed"], proofs
        in_portal(portal, ACCEPT_AND_APPROVE)
        following = phase_7(portal, "defective")
        linked = (
            "SELECT c.previous_id, i.state FROM gates_campaign c JOIN gates_incident i ON i.campaign_id = c.previous_id"
        )
        wait_until(lambda: portal.rows(linked), what="a new campaign follows", limit_s=120)
        assert portal.rows(linked)[0][1] == "restarted"
        following.kill()
        assert mended.desk.is_well()
    assert defective.name == "defective"
