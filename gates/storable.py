"""Text of others as PostgreSQL can keep it: what it cannot is shown as U+FFFD. Pure."""

import re
from typing import Any

UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # the byte NUL, and halves of letters, as JSON may name them


def storable(value: Any) -> Any:
    """Return the same text, or the same shape of JSON, without what PostgreSQL refuses."""
    if isinstance(value, str):
        return UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {storable(key): storable(each) for key, each in value.items()}
    return [storable(each) for each in value] if isinstance(value, list | tuple) else value
