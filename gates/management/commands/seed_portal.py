"""First start: the roles, a user who may come in, the rehearsal target, and a campaign whose gate 1 is running."""

import secrets
import time
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from gates import commands, roles
from gates.evidence.keys import SigningKeyError
from gates.evidence.signing import portal_key
from gates.models import Campaign, Target
from gates.role_names import ENGINEER
from gates.targets.access import REHEARSAL_SPEC, TargetUnreachableError
from gates.targets.commands import add_from_variables

FIRST_USER = "engineer"
WAIT_S = 30


class Command(BaseCommand):
    help = "Prepare a fresh portal: roles, first user, rehearsal target, rehearsal campaign. Does nothing twice."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-campaign", action="store_true", help="start no rehearsal campaign")

    def handle(self, *args: Any, **options: Any) -> None:
        roles.make_groups()
        self._signing_key()
        self._first_user()
        target, is_new = Target.objects.get_or_create(
            name="rehearsal", defaults={"spec": REHEARSAL_SPEC, "created_at": timezone.now()}
        )
        if not is_new:  # what a newer portal describes, with what people added
            Target.objects.filter(pk=target.pk).update(spec=target.spec | REHEARSAL_SPEC)
        add_from_variables(timezone.now())
        if not options["no_campaign"] and not Campaign.objects.exists():
            self._first_campaign(target)

    def _signing_key(self) -> None:
        """Without its key the portal runs and is seen, but writes no report."""
        try:
            self.stdout.write(f"Reports are signed by the key {portal_key().public.fingerprint}.")
        except SigningKeyError as error:
            self.stderr.write(f"No report can be written. {error}")

    def _first_user(self) -> None:
        users = get_user_model().objects
        if users.exists():
            return
        password = secrets.token_urlsafe(12)
        user = users.create_superuser(FIRST_USER, password=password)
        user.groups.add(Group.objects.get(name=ENGINEER))
        self.stdout.write(f"Sign in as {FIRST_USER} with the password {password} (shown this once).")

    def _first_campaign(self, target: Target) -> None:
        """Start once the desk answers; it may take some seconds to come up."""
        for _ in range(WAIT_S):
            try:
                run = commands.start_campaign(target, profile="rehearsal", started_by=None, now=timezone.now())
            except (commands.CannotStartError, TargetUnreachableError) as error:
                reason = str(error)
                time.sleep(1)
            else:
                self.stdout.write(f"Rehearsal campaign started: run {run.pk}, {run.slots.count()} slots.")
                return
        self.stderr.write(f"No rehearsal campaign was started: {reason}")
