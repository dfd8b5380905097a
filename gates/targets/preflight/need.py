"""One need of a target."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Need:
    """One need: met, not met, or (None) nothing could show it; `words` are what was seen, or the exact next step.

    Without an `optional` one a target is ready all the same.
    """

    group: str
    name: str
    met: bool | None
    words: str
    optional: bool = False

    def shape(self) -> dict[str, Any]:
        """As it is kept."""
        shape = asdict(self)
        return {"group": shape["group"], "need": shape["name"], "met": shape["met"], "words": shape["words"]}


def first_line(error: BaseException) -> str:
    """What an error says, in one line without its end."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")
