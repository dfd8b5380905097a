"""What is kept of a closed run beside its report: log, slots, findings, receipts, and what people laid there.

The files lie in `<home>/evidence/run-N/`; the report names each by its hash, so they are part of what is sealed.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Model, QuerySet

from gates.models import CrashPoint, Heal, Run, Slot
from gates.models.findings import TRIAGE

ATTACHMENTS = "attachments"  # screenshots and whatever else a person lays here before the run closes
MOST_ATTACHMENTS = 200
MOST_ATTACHMENT_BYTES = 100 * 2**20
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+()-]{0,149}")
ROWS_AT_ONCE = 500

Kept = dict[str, Any]


def run_folder(run_id: int) -> Path:
    """Return where a run's files are or will be kept."""
    return Path(settings.ENVIRONMENT.wartest_home) / "evidence" / f"run-{run_id}"


def keep_run(run: Run) -> list[Kept]:
    """Write the files of a closed run, and return {file, sha256, bytes} of each and of the attachments.

    Raises OSError; a file is whole or not there.
    """
    folder = run_folder(run.pk)
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(folder / name, rows) for name, rows in _files(run)] + _attached(folder / ATTACHMENTS)


def _files(run: Run) -> Iterator[tuple[str, Iterable[dict[str, Any]]]]:
    """Yield (name, rows); what a gate has no rows of has no file."""
    yield "log.jsonl", (_plain(event) for event in _read(run.events.order_by("at", "pk")))
    yield "slots.jsonl", (_slot(slot) for slot in _read(run.slots.select_related("result").order_by("due_at", "pk")))
    yield "findings.jsonl", (_plain(row, without=TRIAGE) for row in _read(run.findings.order_by("found_at", "pk")))
    points = CrashPoint.objects.filter(scenario__run=run).select_related("scenario").order_by("scenario", "number")
    if points.exists():
        yield "strikes.jsonl", ({"scenario": point.scenario.name} | _plain(point) for point in _read(points))
        heals = Heal.objects.filter(crash_point__scenario__run=run).order_by("written_at", "pk")
        yield "heals.jsonl", (_plain(heal) for heal in _read(heals))


def _read[Row: Model](rows: QuerySet[Row]) -> Iterator[Row]:
    return rows.iterator(chunk_size=ROWS_AT_ONCE)


def _slot(slot: Slot) -> dict[str, Any]:
    result = getattr(slot, "result", None)
    return _plain(slot) | {"result": _plain(result) if result else None}


def _plain(row: Model, without: Iterable[str] = ()) -> dict[str, Any]:
    """Return a row's own columns as JSON has them."""
    columns = (field.attname for field in row._meta.concrete_fields if field.name not in without)
    return {name: _value(getattr(row, name)) for name in columns}


def _value(value: Any) -> Any:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> Kept:
    """Write one JSON object a line, hashing on the way, and move the file into place once it is on the disk."""
    digest, size = hashlib.sha256(), 0
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            for row in rows:
                line = json.dumps(row, ensure_ascii=False, sort_keys=True).encode() + b"\n"
                digest.update(line)
                size += len(line)
                file.write(line)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return _kept(path, digest.hexdigest(), size)


def _attached(folder: Path) -> list[Kept]:
    """Hash what people laid there: plain files with plain names, the first of them where there are too many."""
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.iterdir())[:MOST_ATTACHMENTS]:
        usable = path.is_file() and not path.is_symlink() and SAFE_NAME.fullmatch(path.name)
        if usable and path.stat().st_size <= MOST_ATTACHMENT_BYTES:
            with path.open("rb") as file:
                found.append(_kept(path, hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size))
    return found


def _kept(path: Path, sha256: str, size: int) -> Kept:
    name = path.relative_to(Path(settings.ENVIRONMENT.wartest_home)).as_posix()
    return {"file": name, "sha256": sha256, "bytes": size}
