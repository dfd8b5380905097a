#!/usr/bin/env python
"""Everything starts here. This file must parse on every Python 3, so that an old one can be told so."""

import os
import sys

OLDEST_PYTHON = (3, 12)


def main() -> int:
    if sys.version_info < OLDEST_PYTHON:
        sys.stderr.write(
            "wartest needs Python {}.{} or newer and this is {}.{}: run it as `uv run manage.py`.\n".format(
                *(OLDEST_PYTHON + sys.version_info[:2])
            )
        )
        return 2
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wartest_site.settings")
    try:
        from django.core.management import execute_from_command_line  # noqa: PLC0415 - not on an old Python
    except ImportError:
        sys.stderr.write("Django is not installed here: run this as `uv run manage.py`.\n")
        return 2
    from wartest_site import unexpected  # noqa: PLC0415 - needs what is imported above

    try:
        if sys.argv[1:2] != ["up"]:
            from wartest_site.stack import adopt_environment  # noqa: PLC0415

            adopt_environment()
        execute_from_command_line(sys.argv)
        sys.stdout.flush()
    except Exception as error:
        if unexpected.reader_left(error):
            return unexpected.READER_LEFT
        if "--traceback" in sys.argv:
            raise
        sys.stderr.write(unexpected.sentence_of(error) + "\n")
        return unexpected.EXIT_CODE
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell says of a Ctrl-C
