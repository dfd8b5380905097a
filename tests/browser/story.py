"""The cast of the whole story: a real stack, a target whose build is mended, and people in browsers of their own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from playwright.sync_api import Browser, Page, expect

from gates.targets.access import REHEARSAL_SPEC
from gates.targets.rehearsal import cell_program, prevention_command, program_of_build
from tests.browser.test_accounts import code_of
from tests.gates.rehearsal.desk.processes import wait_until
from tests.gates.test_gate_1 import ROOT, OwnDesk, Portal, own_desk
from tests.wartest_site.test_up import kill_family, until_ready

PASSWORD = "correct horse battery staple"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
TARGET, DEFECT = "story", "sequence-gap"
LONG_MS = 600_000
TEAM = f"""
import json
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from tests.gates.signoff.deciding import team
people = team()
for person in people.values():
    person.set_password({PASSWORD!r})
    person.save()
TOTP.activate(people["dora"], {SECRET!r})
print(json.dumps(RecoveryCodes.activate(people["dora"]).get_unused_codes()))
"""
# Nobody waits for three days here: the gates of a production campaign are put there, and its reports are sealed.
PRODUCTION = """
from datetime import UTC, datetime, timedelta
from django.contrib.auth.models import User
from tests.gates.signoff.deciding import TEAM, a_decision, a_strange_run
people = {name: User.objects.get(username=name) for name in TEAM}
start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=4)
decided = a_decision(people=people, start=start)
a_strange_run(decided.campaign)
print(decided.campaign.pk)
"""
MONTH = """
from django.contrib.auth.models import User
from django.db import transaction
from gates.models import Campaign, CapitalPlan
from tests.gates.signoff.deciding import TEAM, Decided, live_and_ended
people = {{name: User.objects.get(username=name) for name in TEAM}}
campaign = Campaign.objects.get(pk={campaign})
with transaction.atomic():
    live_and_ended(Decided(campaign, people), plan=CapitalPlan.objects.get(campaign=campaign))
"""


@dataclass
class Person:
    """Somebody at a browser of their own, signed in; `codes` are unused recovery codes."""

    name: str
    page: Page
    url: str
    codes: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def goes(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def proves(self) -> None:
        """Say again who one is, with whatever the page asks for."""
        for what in ("password", "second factor"):
            link = self.page.get_by_role("link", name=f"give your {what}")
            if link.count():
                link.click()
                given = PASSWORD if what == "password" else self.codes.pop()
                self.page.get_by_label("Password" if what == "password" else "Code").fill(given)
                self.page.get_by_role("button", name="Confirm").click()
                self.page.get_by_role("heading", name="Your decision").wait_for()


def person_at(chromium: Browser, url: str, name: str, codes: list[str]) -> Person:
    """Open a browser of this person's own and sign in, with a second factor where one is enrolled."""
    page = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light").new_page()
    person = Person(name, page, url, codes)
    page.on("console", lambda line: person.complaints.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: person.complaints.append(str(error)))
    page.goto(f"{url}/account/login/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    if codes:
        page.get_by_label("Code").fill(code_of(SECRET))
        page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Sign out")).to_be_visible()
    return person


def in_portal(stack: Portal, code: str) -> str:
    """Run these lines as the portal, and return what they print."""
    env = os.environ | stack.services.env | {"DJANGO_SETTINGS_MODULE": "wartest_site.settings"}
    argv = [sys.executable, "-c", "import django; django.setup()\n" + code]
    done = subprocess.run(argv, cwd=ROOT, env=env, text=True, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def build_of(stack: Portal, *defects: str) -> Iterator[OwnDesk]:
    """Let the story's target be a desk of its own with these defects: another build than without them."""
    name = "mended" if not defects else "defective"
    with own_desk(stack, name, *(word for each in defects for word in ("--defect", each))) as desk:
        with psycopg.connect(stack.services.env["DATABASE_URL"]) as connection:
            row = connection.execute("SELECT spec FROM gates_target WHERE name = %s", (name,)).fetchone()
            assert row is not None
            spec = json.dumps(described(row[0], defects))
            connection.execute(
                "INSERT INTO gates_target (name, spec, created_at) VALUES (%s, %s, now()) "
                "ON CONFLICT (name) DO UPDATE SET spec = EXCLUDED.spec",
                (TARGET, spec),
            )
        yield desk


def described(own: dict[str, Any], defects: tuple[str, ...]) -> dict[str, Any]:
    """Return the description: the desk, its program in cells, its prevention tests, the simulator posing as live."""
    program = cell_program(defects)
    live = REHEARSAL_SPEC["live"]
    broker = REHEARSAL_SPEC["broker"] | live["broker"]
    return own | {
        "process": program["process"] | own["process"],
        "operations": program["operations"],
        "prevention": {"command": list(prevention_command()), "program": list(program_of_build()), "limit_s": 300},
        "live": live | {"broker": broker},
    }


def killed_once(stack: Portal, gate: int) -> None:
    """SIGKILL everything of the portal at the end of this gate of the newest campaign, and start it again."""
    closed = """SELECT 1 FROM gates_run WHERE gate = %s AND state = 'closed'
                AND campaign_id = (SELECT max(id) FROM gates_campaign)"""
    wait_until(lambda: stack.rows(closed, gate), what=f"gate {gate} is over", limit_s=LONG_MS / 1000)
    port = stack.services.url.rstrip("/").rpartition(":")[2]
    kill_family(stack.process.pid)
    stack.process.wait(20)
    reports = {"REPORTS_DIR": str(stack.home / "reports")}
    stack.process = stack.start("manage.py", "up", "--no-campaign", "--port", port, **reports)
    stack.services = until_ready(stack.process, stack.home)


def until(page: Page, seen: Any, *, what: str, limit_s: float = 300) -> None:
    """Load the page anew until `seen()` is true, as somebody who waits would."""
    ends = time.monotonic() + limit_s
    while not seen():
        assert time.monotonic() < ends, f"not within {limit_s:.0f} s: {what}"
        page.wait_for_timeout(2000)
        page.reload()
