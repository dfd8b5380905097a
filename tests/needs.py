"""What a test needs and this machine lacks: skipped with a reason on a desk, a failure where CI=true."""

import os
from typing import NoReturn

import pytest


def lacks(what: str) -> NoReturn:
    """End the test: what is not proven must not look green."""
    if os.environ.get("CI", "").lower() in {"true", "1"}:
        pytest.fail(what)
    pytest.skip(what)
