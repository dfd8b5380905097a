"""JSON read strictly: what two readers could understand differently is refused. Pure."""

import json
from typing import Any, NoReturn

MOST_BYTES = 256 * 2**20
# Beyond them two readers may see two numbers, and RFC 8785 has no canonical form.
LARGEST_WHOLE = 2**53 - 1


class JsonUnreadableError(Exception):
    """The bytes are no JSON that has one meaning; the message says why, without a full stop."""


def read_json(content: bytes) -> Any:
    """Return the value. Raises JsonUnreadableError: broken, too deep, a name twice, NaN, or a number too large."""
    if len(content) > MOST_BYTES:
        raise JsonUnreadableError(f"it is larger than {MOST_BYTES // 2**20} MiB")
    try:
        return json.loads(
            content.decode("utf-8"), object_pairs_hook=_once_each, parse_constant=_no_constant, parse_int=_whole
        )
    except RecursionError:
        raise JsonUnreadableError("it is nested too deep") from None
    except UnicodeDecodeError:
        raise JsonUnreadableError("it is not UTF-8") from None
    except ValueError as error:
        raise JsonUnreadableError(f"it is not whole JSON: {error}") from None


def read_object(content: bytes) -> dict[str, Any]:
    """Return the value where it is an object. Raises JsonUnreadableError."""
    value = read_json(content)
    if not isinstance(value, dict):
        raise JsonUnreadableError("it is no JSON object")
    return value


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise JsonUnreadableError(f"it has the name {twice[:80]!r} twice")
    return found


def _no_constant(word: str) -> NoReturn:
    raise JsonUnreadableError(f"it holds {word}, which is no JSON")


def _whole(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) > LARGEST_WHOLE:
        raise JsonUnreadableError("it holds a whole number beyond 2^53: money and large numbers are text")
    return int(digits)
