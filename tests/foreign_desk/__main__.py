"""`uv run python -m tests.foreign_desk meridian [--bug NAME] [--env FILE]`: a foreign desk as it stands at a user's.

Starts a PostgreSQL, a practice account and the desk, which trades; adds the secrets that its description names to FILE,
`.env` where none is given; ends with Ctrl-C.
"""

import argparse
import signal
import sys
import tempfile
import threading
from pathlib import Path

from tests.foreign_desk.ground import with_template
from tests.foreign_desk.standing import standing
from wartest_site.embedded.postgres import running_postgres


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=("meridian", "harbor"))
    parser.add_argument("--bug", default="", help="one of the mistakes that README.md lists")
    parser.add_argument("--env", type=Path, default=Path(".env"), help="file that the secrets are added to")
    given = parser.parse_args()
    ended = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: ended.set())
    with tempfile.TemporaryDirectory(prefix=f"{given.name}-") as place, running_postgres(Path(place)) as server:
        with_template(given.name, server)
        with standing(given.name, server, Path(place), bug=given.bug) as desk:
            with given.env.open("a") as file:
                file.writelines(f"{key}={value}\n" for key, value in desk.secrets.items())
            sys.stdout.write(
                f"{given.name} trades; its secrets are in {given.env}. Its log: {place}/{given.name}.log\n"
            )
            sys.stdout.flush()
            ended.wait()


if __name__ == "__main__":
    main()
