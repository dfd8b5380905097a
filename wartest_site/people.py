"""The people of the portal: added with a role and an invitation, listed, and kept out again."""

from dataclasses import dataclass
from datetime import datetime

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, User
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from gates.role_names import ROLE_NAMES
from gates.roles import make_groups


class PersonRefusedError(Exception):
    """What was asked for a person cannot be; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Person:
    """One line of the list: who may come in, as what, and with how many factors."""

    name: str
    roles: tuple[str, ...]
    administrator: bool
    active: bool
    second_factor: bool
    last_seen: datetime | None


@transaction.atomic
def add(name: str, roles: list[str], *, administrator: bool = False) -> User:
    """Add a person who cannot come in yet: an invitation lets them choose a password that nobody else ever knew.

    Raises PersonRefusedError.
    """
    unknown = sorted(set(roles) - set(ROLE_NAMES))
    if unknown:
        raise PersonRefusedError(f"There is no role {unknown[0]}: give one of {', '.join(ROLE_NAMES)}.")
    if not roles and not administrator:
        raise PersonRefusedError(f"Say what {name} does: --role with one of {', '.join(ROLE_NAMES)}, or --admin.")
    if User.objects.filter(username__iexact=name).exists():
        raise PersonRefusedError(f"{name} is there already: --invite makes a new invitation, the admin changes roles.")
    person = User(username=name, is_staff=True, is_superuser=administrator)
    person.set_unusable_password()
    try:
        person.full_clean()
    except ValidationError as error:
        raise PersonRefusedError(f"The name {name} cannot be used: {error.messages[0]}") from None
    make_groups()
    person.save()
    person.groups.set(Group.objects.filter(name__in=roles))
    return person


@transaction.atomic
def invitation(name: str) -> str:
    """Return the path of a new invitation; the password and every earlier invitation end with it.

    Raises PersonRefusedError.
    """
    person = _known(name)
    if not person.is_active:
        raise PersonRefusedError(f"{name} is kept out: let them in again first, with --enable.")
    person.set_unusable_password()
    person.save(update_fields=["password"])
    key = urlsafe_base64_encode(force_bytes(person.pk))
    return reverse("account_invitation", args=[key, default_token_generator.make_token(person)])


@transaction.atomic
def keep_out(name: str) -> None:
    """End a person's sessions and let them in no more; what they did and signed stays. Raises PersonRefusedError."""
    person = _known(name)
    others = User.objects.select_for_update().filter(is_superuser=True, is_active=True).exclude(pk=person.pk)
    if person.is_superuser and not others:
        raise PersonRefusedError(f"{name} is the only administrator: add another first, with --admin.")
    User.objects.filter(pk=person.pk).update(is_active=False)


def let_in(name: str) -> None:
    """Let a person in again, with the password and the roles they had. Raises PersonRefusedError."""
    User.objects.filter(pk=_known(name).pk).update(is_active=True)


def remove_second_factor(name: str) -> None:
    """Remove what a lost telephone held; the person enrols again. Raises PersonRefusedError."""
    removed, _ = Authenticator.objects.filter(user=_known(name)).delete()
    if not removed:
        raise PersonRefusedError(f"{name} has no second factor.")


def people() -> list[Person]:
    """Return everybody, by name."""
    enrolled = set(Authenticator.objects.filter(type=Authenticator.Type.TOTP).values_list("user_id", flat=True))
    return [
        Person(
            name=user.username,
            roles=tuple(sorted(group.name for group in user.groups.all())),
            administrator=user.is_superuser,
            active=user.is_active,
            second_factor=user.pk in enrolled,
            last_seen=user.last_login,
        )
        for user in User.objects.prefetch_related("groups").order_by("username")
    ]


def _known(name: str) -> User:
    person = User.objects.filter(username=name).first()
    if person is None:
        raise PersonRefusedError(f"There is nobody called {name}: `manage.py add_person --list` shows who there is.")
    return person
