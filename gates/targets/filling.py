"""Texts of a description with the places in them filled, and variables that may name a secret."""

from collections.abc import Mapping

from gates.targets.secrets import TargetUnreachableError, resolved


def variable(where: str, value: object) -> str:
    """Return a variable's value; one that names a secret is taken from there, its braces not taken for places.

    Raises TargetUnreachableError, naming `where` it stands.
    """
    text = resolved(str(value), where)
    return text if text == value else text.replace("{", "{{").replace("}", "}}")


def filled(text: str, places: Mapping[str, str]) -> str:
    """Return a text with its places filled. Raises TargetUnreachableError for one that nobody fills."""
    try:
        return text.format_map(places)
    except (KeyError, ValueError, IndexError) as error:
        raise TargetUnreachableError(
            f"{text!r} holds a place that no cell can fill: use {', '.join(places)}."
        ) from error
