"""Report files: the same content gives the same bytes, and a file is there whole or not at all."""

import json
import os
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

SCHEMA_FILE = Path(__file__).parent.parent / "report.schema.json"


def rendered(content: Mapping[str, Any]) -> bytes:
    """Return a report's file: its fields in the order of the schema, verdict first, and what is in them by name.

    The database keeps no order of its own, so this one is the same before and after it.
    """
    named = [key for key in _order() if key in content]
    ordered = {key: _by_name(content[key]) for key in (*named, *sorted(key for key in content if key not in named))}
    return json.dumps(ordered, indent=2, ensure_ascii=False).encode() + b"\n"


def write_json(content: Mapping[str, Any], path: Path) -> Path:
    """Write a report's content, whole or not at all; the folder is made where it is missing.

    Another report that has the name already is left as it is: this one's name then ends with the start of its hash.
    Returns the path written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not _holds(path, content):
        path = path.with_stem(f"{path.stem}-{content['seal']['sha256'][:8]}")
    return write_whole(path, rendered(content))


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file that others may read; an interrupted write leaves none of that name."""
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, delete=False, suffix=".part") as draft:
        draft.write(content)
        draft.flush()
        os.fsync(draft.fileno())
    Path(draft.name).chmod(0o644)
    return Path(draft.name).replace(path)


def _holds(path: Path, content: Mapping[str, Any]) -> bool:
    """Whether the file is this report already; the order of its fields does not matter."""
    try:
        return bool(json.loads(path.read_bytes()) == content)
    except ValueError:
        return False


def _by_name(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _by_name(value[key]) for key in sorted(value)}
    return [_by_name(one) for one in value] if isinstance(value, list | tuple) else value


@cache
def _order() -> tuple[str, ...]:
    return tuple(json.loads(SCHEMA_FILE.read_text("utf-8"))["properties"])
