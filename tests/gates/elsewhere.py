"""Code of ours in processes of their own, on the database of the test."""

import os
import subprocess
import sys
from pathlib import Path

from django.db import connection

from wartest_site.embedded.postgres import PostgresServer

ROOT = Path(__file__).parents[2]
SET_UP = "import django; django.setup()\nfrom django.utils import timezone\nfrom gates import engine, workers\n"


def elsewhere(server: PostgresServer, code: str) -> subprocess.Popen[str]:
    """Start the code in a process of its own; it may read its standard input and say what it did."""
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "wartest_site.settings",
        "DATABASE_URL": server.url(connection.settings_dict["NAME"]),
    }
    argv = [sys.executable, "-c", SET_UP + code]
    return subprocess.Popen(argv, cwd=ROOT, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
