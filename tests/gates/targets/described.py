"""A description as a user writes it, and ways to change one line of it."""

PLAIN = """\
name = "fx-desk"
build = { command = "git -C /srv/desk rev-parse HEAD" }
[ledger]
url = "env:LEDGER_URL"
schema = "wartest"
[broker]
kind = "oanda"
url = "https://api-fxpractice.oanda.com"
account = "env:OANDA_ACCOUNT_ID"
token = "env:OANDA_API_KEY"
[process]
kind = "command"
command = ["./desk"]
environment = { DATABASE_URL = "{ledger_url}", OANDA_URL = "{broker_url}" }
ready = "http://127.0.0.1:{port}/health"
[operations]
open = { post = "http://127.0.0.1:{port}/operations/open" }
"""


def with_line(number, line):
    """Return the description with another line at this number; lines after the last are added."""
    lines = PLAIN.splitlines()
    lines[number - 1 : number] = [line]
    return "\n".join(lines) + "\n"
