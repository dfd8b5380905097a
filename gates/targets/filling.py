"""Texts of a description with the places in them filled, and variables that may name a secret."""

from collections.abc import Mapping

from gates.targets.secrets import TargetUnreachableError, resolved

NAMES_A_SECRET = ("env:", "file:")


def variable(where: str, value: object) -> str:
    """Return a variable's value; one that names a secret is taken from there, its braces not taken for places.

    Raises TargetUnreachableError, naming `where` it stands.
    """
    text = resolved(str(value), where)
    return text if text == value else text.replace("{", "{{").replace("}", "}}")


def secrets_of(where: str, variables: Mapping[str, object]) -> tuple[str, ...]:
    """Return what variables name and do not hold: it is hidden in whatever a program says.

    Raises TargetUnreachableError, naming `where` it stands.
    """
    named = (str(value) for value in variables.values())
    return tuple(resolved(name, where) for name in named if name.startswith(NAMES_A_SECRET))


def filled(text: str, places: Mapping[str, str]) -> str:
    """Return a text with its places filled. Raises TargetUnreachableError for one that nobody fills."""
    try:
        return text.format_map(places)
    except (KeyError, ValueError, IndexError) as error:
        raise TargetUnreachableError(
            f"{text!r} holds a place that no cell can fill: use {', '.join(places)}."
        ) from error
