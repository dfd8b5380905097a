"""`manage.py rotate_key`: replace the key that signs reports, and record it in the chain."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from gates.evidence.keys import SigningKeyError
from gates.evidence.rotating import CannotRotateError, rotate_key


class Command(BaseCommand):
    help = "Replace the key that signs reports; the chain records it, signed by the old key where that is here."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reason", required=True, help="why, in words; the chain keeps them")
        parser.add_argument("--lost", action="store_true", help="the old key is lost: the new one signs for itself")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 when the key is replaced, 2 when it is not."""
        reason = options["reason"].strip()
        if not reason or len(reason) > 1000:
            self.stderr.write("--reason must say why, in 1 to 1000 characters.")
            sys.exit(2)
        try:
            report = rotate_key(reason, lost=options["lost"], now=timezone.now())
        except (CannotRotateError, SigningKeyError) as error:
            self.stderr.write(str(error))
            sys.exit(2)
        except DatabaseError as error:
            self.stderr.write(f"The portal's database does not answer ({str(error).splitlines()[0]}): is it up?")
            sys.exit(2)
        self.stdout.write(f"Reports are signed by {report.content['to']['fingerprint']} from now on.")
        self.stdout.write("Tell its fingerprint to those who verify, and back up the key: WARTEST_HOME/keys.")
