"""`manage.py add_person`: who may come in, and as what."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from gates.role_names import ROLE_NAMES
from wartest_site import people
from wartest_site.environment import load
from wartest_site.stack import running_stack

ANYWHERE = "http://127.0.0.1:8000/"


class Command(BaseCommand):
    help = "Add a person with a role and print an invitation, which is good for 72 hours and once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", help="the name to sign in with")
        parser.add_argument("--role", action="append", default=[], help=f"what they do: {', '.join(ROLE_NAMES)}")
        parser.add_argument("--admin", action="store_true", help="lets them add and change people")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--list", action="store_true", help="show everybody")
        what.add_argument("--invite", action="store_true", help="a new invitation, when a password is lost")
        what.add_argument("--disable", action="store_true", help="keep a person out; what they did stays")
        what.add_argument("--enable", action="store_true", help="let a person in again")
        what.add_argument("--remove-second-factor", action="store_true", help="when a telephone is lost")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._do(options["name"], options)
        except people.PersonRefusedError as error:
            raise CommandError(str(error), returncode=2) from None
        except DatabaseError as error:
            reason = str(error).strip().splitlines()[0]
            raise CommandError(
                f"The portal's database does not answer ({reason}): start `up` first.", returncode=2
            ) from None

    def _do(self, name: str | None, options: dict[str, Any]) -> None:
        if options["list"]:
            self._list()
        elif not name:
            raise people.PersonRefusedError("Say who: `manage.py add_person NAME --role engineer`, or --list.")
        elif options["disable"]:
            people.keep_out(name)
            self.stdout.write(f"{name} is signed out and kept out; what they did and signed stays.")
        elif options["enable"]:
            people.let_in(name)
            self.stdout.write(f"{name} may sign in again.")
        elif options["remove_second_factor"]:
            people.remove_second_factor(name)
            self.stdout.write(f"{name} has no second factor now: they enrol again under their name in the portal.")
        else:
            if not options["invite"]:
                people.add(name, options["role"], administrator=options["admin"])
            self._invite(name)

    def _invite(self, name: str) -> None:
        stack = running_stack(load().wartest_home.resolve())
        address = (stack.url if stack else ANYWHERE).rstrip("/") + people.invitation(name)
        self.stdout.write(f"{name} chooses a password here, once and within 72 hours (shown this once):\n{address}")

    def _list(self) -> None:
        for person in people.people():
            words = [*person.roles, *(["administrator"] if person.administrator else [])]
            self.stdout.write(
                f"{person.name:<20} {', '.join(words) or 'no role'}; "
                f"{'second factor' if person.second_factor else 'password only'}; "
                f"{f'last seen {person.last_seen:%Y-%m-%d}' if person.last_seen else 'never seen'}"
                f"{'' if person.active else '; kept out'}"
            )
