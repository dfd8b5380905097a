"""`manage.py verify_evidence PATH`: is the evidence what was sealed? Asks no database."""

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from gates.evidence.terminal import verify_path


class Command(BaseCommand):
    help = "Verify evidence offline: hashes, chain, signatures. Also without a portal: python -m gates.evidence PATH."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path, help="a downloaded zip, its folder, or a folder of reports")
        parser.add_argument(
            "--key",
            action="append",
            default=[],
            help="a trusted fingerprint or public key file (default: this portal's)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 passed, 1 something is wrong, 2 no evidence, 3 something could not be judged."""
        home = Path(settings.ENVIRONMENT.wartest_home)
        sys.exit(verify_path(options["path"], options["key"], home, self.stdout.write))
