"""Settings of a portal that a team reaches: clean by Django's own list, and each mistake in words."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MANAGE = Path(__file__).parents[2] / "manage.py"


def manage(*words, **settings):
    env = os.environ | {"DJANGO_SETTINGS_MODULE": "wartest_site.settings"} | settings
    argv = [sys.executable, str(MANAGE), *words]
    return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60, env=env)


def test_production_settings_leave_django_nothing_to_say(postgres_server, tmp_path):
    given = {"DATABASE_URL": postgres_server.url(), "WARTEST_HOME": str(tmp_path), "TRUSTED_PROXIES": "1"}
    without = manage("check", "--deploy", "--fail-level", "WARNING", **given)
    assert without.returncode == 1
    assert "SESSION_COOKIE_SECURE" in without.stderr
    done = manage("check", "--deploy", "--fail-level", "WARNING", PUBLIC_URL="https://wartest.example.com", **given)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PUBLIC_URL", "http://wartest.example.com", "PUBLIC_URL must be an https:// address"),
        ("PUBLIC_URL", "https://wartest.example.com/portal", "PUBLIC_URL must be an https:// address"),
        ("BROKER_URL", "kafka://secret-word@rabbit", "BROKER_URL must start with amqp://"),
    ],
)
def test_a_wrong_address_is_one_sentence_without_its_value(name, value, words):
    done = manage("check", **{name: value})
    assert done.returncode == 2
    (said,) = done.stderr.strip().splitlines()
    assert words in said
    assert "secret-word" not in said
