"""The stop command: without a shell, bounded, without anything of ours in its environment, and written down first."""

import sys

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from gates.live_capital.stopping import CannotStopError, run_words, stop_target
from tests.gates.cast import a_run

SECRET = "a-token-of-the-portal"


def python(code, *words):
    return (sys.executable, "-c", code, *words)


def test_words_are_handed_over_as_they_are_and_no_shell_reads_them(tmp_path):
    file = tmp_path / "said"
    code = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
    assert run_words(python(code, str(file), "$(id); rm -rf / && `x` > y")).code == 0
    assert file.read_text() == "$(id); rm -rf / && `x` > y"


def test_a_command_that_does_not_end_is_killed_with_its_children_and_said():
    stopped = run_words(python("import time; time.sleep(60)"), limit_s=0.5)
    assert stopped.code is None
    assert "did not end within 0.5 s and was killed" in stopped.sentence


def test_a_command_that_fails_or_is_not_there_is_said():
    assert run_words(python("raise SystemExit(7)")).sentence.startswith("The stop command failed with exit code 7")
    assert "could not be started" in run_words(("/no/such/command",)).sentence


def test_nothing_of_the_portals_environment_reaches_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("OANDA_LIVE_API_KEY", SECRET)
    file = tmp_path / "environment"
    code = "import os, sys; open(sys.argv[1], 'w').write(repr(dict(os.environ)))"
    assert run_words(python(code, str(file))).code == 0
    assert SECRET not in file.read_text()
    assert "DATABASE_URL" not in file.read_text()


@pytest.mark.django_db
def test_who_stopped_and_why_stays_as_a_persons_hand_and_then_how_it_ended():
    run = a_run(spec={"process": {"stop": list(python("pass"))}})
    olga = User.objects.create_user("olga")
    stop_target(run, by=olga, reason="a limit is broken", now=timezone.now())
    first, then = run.events.order_by("pk")
    assert (first.kind, first.sentence) == (
        "intervention",
        "olga ran the target's stop command: a limit is broken",
    )
    assert then.kind == "stop"
    assert then.sentence.startswith("The target was told to stop")


@pytest.mark.django_db
@pytest.mark.parametrize(("spec", "reason"), [({}, "a reason"), ({"process": {"stop": ["true"]}}, "   ")])
def test_without_a_command_or_a_reason_nothing_is_run_and_nothing_is_written(spec, reason):
    run = a_run(spec=spec)
    with pytest.raises(CannotStopError):
        stop_target(run, by=User.objects.create_user("olga"), reason=reason, now=timezone.now())
    assert not run.events.exists()
