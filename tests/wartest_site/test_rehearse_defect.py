"""`rehearse_defect` says caught, for another reason, missed or not shown, and passes only for the first."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from audits.findings import Finding, Level
from gates.chaos.messages import Channel, Direction, Point, Strike
from gates.chaos.trials import Trial
from gates.detection.catalogue import Planted
from gates.detection.judgement import Judged
from gates.detection.rehearsing import Outcome, Rehearsed, ShownBy
from wartest_site import rehearsal
from wartest_site.management.commands.rehearse_defect import exit_code
from wartest_site.rehearsal_words import line, summary

ROOT = Path(__file__).parents[2]
FOUND = Finding("broker balance", Level.CRITICAL, "The books and the broker differ.")


def planted():
    rules = ("broker balance",)
    return Planted(
        name="sand",
        title="Sand in the works",
        story="Sand is thrown in the works.",
        origin="",
        gate=3,
        rules=rules,
        scenarios=(),
        operations=(),
        depth=1,
        begin_at=(),
        by_hand=rules,
        steps=(),
        replaces=("clerk.book",),
    )


def rehearsed(outcome, *findings, reason=""):
    return Rehearsed(planted(), outcome, findings, 1.5, "in its books", reason)


CAUGHT = rehearsed(Outcome.CAUGHT, FOUND)
MISSED = rehearsed(Outcome.MISSED, reason="stops: nothing was seen")
OTHER = rehearsed(Outcome.OTHER_REASON, Finding("order stuck", Level.HIGH, "An order is stuck."))
NOT_SHOWN = rehearsed(Outcome.NOT_SHOWN, reason="the desk did not start")


@pytest.mark.parametrize(
    ("results", "clean", "code"),
    [
        ([CAUGHT], Judged(), 0),
        ([CAUGHT, NOT_SHOWN], Judged(), 3),
        ([], Judged(), 3),
        ([CAUGHT], Judged((), ("stops: nothing was seen",)), 3),
        ([CAUGHT, OTHER, NOT_SHOWN], Judged(), 1),
        ([CAUGHT, MISSED], Judged(), 1),
        ([CAUGHT], Judged((FOUND,)), 1),
    ],
)
def test_it_passes_only_when_all_are_caught_for_their_own_reason_and_the_clean_desk_is_clean(results, clean, code):
    assert exit_code(results, clean) == code


def test_each_line_says_what_was_found_and_what_should_have_been():
    assert line(CAUGHT).endswith("in its books: broker balance. The books and the broker differ.")
    assert line(OTHER).endswith("order stuck (expected: broker balance). An order is stuck.")
    assert line(MISSED).endswith("nothing was found, expected: broker balance. stops: nothing was seen")
    assert line(NOT_SHOWN).endswith("the desk did not start")


def test_the_summary_counts_each_outcome():
    words = summary([CAUGHT, CAUGHT, MISSED], Judged((FOUND,)))
    assert words == "3 defects: 2 caught, 1 missed; the clean desk is accused."


POINT = Point(Channel.LEDGER, Direction.ANSWER, "COMMIT", 1)
SHOWN = ShownBy("database_connection_drop", "ledger: COMMIT", Trial("open", POINT, Strike.LOSE_ANSWER))


@pytest.mark.parametrize(
    ("result", "struck", "known"),
    [
        (Rehearsed(replace(planted(), gate=2), Outcome.NOT_SHOWN, (), 1.5), 0, False),
        (Rehearsed(replace(planted(), gate=2), Outcome.CAUGHT, (FOUND,), 1.5, shown_by=SHOWN), 0, False),
        (Rehearsed(replace(planted(), gate=2), Outcome.CAUGHT, (FOUND,), 1.5, shown_by=SHOWN), 1, True),
    ],
)
def test_a_clean_desk_that_was_never_struck_is_not_called_clean(monkeypatch, result, struck, known):
    monkeypatch.setattr(rehearsal, "strike_clean", lambda *_, **__: Judged(struck=struck))
    server = SimpleNamespace(url=lambda: "")
    clean = rehearsal.judge_clean(server, [rehearsal.Place(1, None)], [result], Mock())
    assert (clean.struck, not clean.silent) == (struck, known)
    assert exit_code([CAUGHT], clean) == (0 if known else 3)
    assert summary([CAUGHT], clean).endswith(f"the clean desk is {'clean' if known else 'not judged everywhere'}.")


def test_an_unknown_defect_is_refused_with_the_names_there_are():
    command = (sys.executable, "manage.py", "rehearse_defect", "sand")
    ended = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "There is no defect 'sand': choose one of dies-on-cancel" in ended.stderr


def test_a_database_that_cannot_keep_it_is_named_in_one_sentence(tmp_path):
    command = (sys.executable, "manage.py", "rehearse_defect", "blind-retry")
    env = os.environ | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "WARTEST_HOME": str(tmp_path)}
    ended = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60, env=env)
    assert ended.returncode == 2
    assert ended.stderr.startswith("The portal's database cannot keep the rehearsal: connection failed")


KEPT = """
import django
django.setup()
from gates.models import Rehearsal
from wartest_site.stack import portal_database
with portal_database() as portal:
    print(repr(portal), Rehearsal.objects.count())
"""


def test_without_a_portal_its_own_database_is_started_and_brought_up_to_date(tmp_path):
    env = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    env |= {"WARTEST_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "wartest_site.settings"}
    command = (sys.executable, "-c", KEPT)
    ended = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=120, env=env)
    assert (ended.returncode, ended.stdout.strip()) == (0, "'' 0"), ended.stderr
    assert (tmp_path / "portal-postgres" / "data").is_dir()
