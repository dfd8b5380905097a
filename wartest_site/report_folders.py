"""The folder that a command leaves its report in: tried before anything starts, never worth a verdict."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from wartest_site.embedded.children import CannotStartError


def demand_writable(folder: Path) -> Path:
    """The folder, made where it is missing. Raises CannotStartError where no report could be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        why = error.strerror or error
        raise CannotStartError(
            f"The folder {folder} cannot be written ({why}): name another with --reports-dir."
        ) from None


def name_file(write: Callable[[], Path], say: Callable[[str], object]) -> None:
    """Write the report and name its file, after its verdict was shown: where that fails, say so in one sentence."""
    try:
        path = write()
    except OSError as error:
        sys.stderr.write(f"The report's file was not written ({error.strerror or error}); the verdict stands.\n")
        return
    say(str(path))
