"""Planting: parts of the desk are replaced by name before it starts; its own code knows nothing of it."""

from hashlib import sha256

from gates.rehearsal.defects import DEFECTS
from gates.rehearsal.defects.defect import Defect
from gates.rehearsal.desk import health


class UnknownDefectError(LookupError):
    """There is no defect of this name; the message names those that there are."""


def find(name: str) -> Defect:
    """The defect of this name. Raises UnknownDefectError."""
    for defect in DEFECTS:
        if defect.name == name:
            return defect
    raise UnknownDefectError(f"there is no defect {name!r}; choose of {', '.join(defect.name for defect in DEFECTS)}")


def plant(name: str) -> None:
    """Put the defect in place, and say another build in health: a desk with a defect is not the clean one.

    Raises UnknownDefectError, and AttributeError when the desk has no such part any more.
    """
    defect = find(name)
    for part in defect.replaces:
        getattr(part.owner, part.name)
        setattr(part.owner, part.name, part.by)
    build = build_with(name)
    setattr(health, "own_build", lambda: build)  # noqa: B010  mypy takes an assignment for a mistake


def build_with(name: str) -> str:
    """The build that the desk says when this defect is planted in it."""
    return f"sha256:{sha256(f'{health.own_build()} with {name}'.encode()).hexdigest()}"


def defects_of(build: str) -> tuple[str, ...]:
    """What is planted in the desk of this build: nothing, or one defect. Raises UnknownDefectError for another's."""
    if build == health.own_build():
        return ()
    for defect in DEFECTS:
        if build == build_with(defect.name):
            return (defect.name,)
    raise UnknownDefectError(f"no desk here is the build {build}")
