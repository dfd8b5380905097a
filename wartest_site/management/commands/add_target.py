"""`manage.py add_target`: a trading system of one's own, described in one TOML file."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from gates.targets.commands import TargetRefusedError, add_target
from gates.targets.description import Description
from gates.targets.reading import DescriptionError, read_file, server_of
from wartest_site.embedded.children import CannotStartError
from wartest_site.stack import portal_database

CANNOT = 2


class Command(BaseCommand):
    help = "Add a target from its TOML file, or describe it anew. Exits 2 with every mistake, each with its line."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", metavar="FILE", help="the target's TOML file")
        parser.add_argument("--schema", action="store_true", help="print the JSON Schema of such files, for editors")
        parser.add_argument("--check", action="store_true", help="only read the file, and add nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["schema"]:
            self.stdout.write(json.dumps(json_schema(), indent=2))
            return
        if not options["file"]:
            raise CommandError("Say which: `manage.py add_target FILE`, or --schema.", returncode=CANNOT)
        try:
            self._add(Path(options["file"]), only_check=options["check"])
        except (DescriptionError, TargetRefusedError, CannotStartError) as error:
            raise CommandError(str(error), returncode=CANNOT) from None
        except DatabaseError as error:
            reason = str(error).strip().splitlines()[0]
            raise CommandError(f"The portal's database does not answer: {reason}.", returncode=CANNOT) from None

    def _add(self, path: Path, *, only_check: bool) -> None:
        description = read_file(path)
        if only_check:
            self._say(description, "is described without a mistake")
            return
        with portal_database() as url:
            place = settings.DATABASES["default"]
            own = server_of(f"postgresql://{place['HOST'] or 'localhost'}:{place['PORT'] or 5432}")
            description = read_file(path, own_servers=frozenset({own}))
            target, done = add_target(description.name, description.spec(), timezone.now())
            where = f", at {url.rstrip('/')}{target.get_absolute_url()}" if url else ""
        self._say(description, {"changed": "is described anew", "returned": "is back"}.get(done, f"is {done}") + where)

    def _say(self, description: Description, done: str) -> None:
        self.stdout.write(f"Target {description.name} {done}.")
        for name in description.named():
            self.stdout.write(f"It takes {name}, which must be there where the portal runs.")
        self.stdout.write(f"Next: uv run manage.py preflight --target {description.name}")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a target's file, as editors read it."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Description.model_json_schema()}
