"""`manage.py remove_target`: it starts nothing any more; its evidence stays."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from gates.targets.commands import TargetRefusedError, remove_target
from gates.targets.queries import NoSuchTargetError
from wartest_site.embedded.children import CannotStartError
from wartest_site.stack import portal_database

CANNOT = 2


class Command(BaseCommand):
    help = "Remove a target: it starts nothing any more. Its campaigns, reports and evidence stay."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with portal_database():
                target = remove_target(options["name"], timezone.now())
                count = target.campaigns.count()
        except (TargetRefusedError, NoSuchTargetError, CannotStartError) as error:
            raise CommandError(str(error), returncode=CANNOT) from None
        campaigns = "1 campaign" if count == 1 else f"{count} campaigns"
        self.stdout.write(f"Target {target} is removed; its {campaigns} with reports and evidence stay.")
