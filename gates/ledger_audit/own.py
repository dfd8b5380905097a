"""The snapshot that an earlier attempt of an audit left whole, before its seal was written down."""

from datetime import datetime
from pathlib import Path

from audits.judge import sealed_snapshot
from audits.snapshot import MANIFEST, Snapshot, SnapshotUnreadable


def own_snapshot(folder: Path, began: datetime) -> Snapshot:
    """Return the snapshot in the folder of the audit that began then.

    The folder is named by the number of a run, and another database beside the same state folder, or one that was
    restored, counts to the same number. Raises SnapshotUnreadable where the manifest was made before the audit began,
    by the clock of the machine, for then the books are of another audit; and as `sealed_snapshot`.
    """
    snapshot = sealed_snapshot(folder, None)
    told = (folder / MANIFEST).stat()
    if min(told.st_mtime, told.st_ctime) < began.timestamp():
        raise SnapshotUnreadable(f"{folder} is older than this audit: it is another's. Move it away.")
    return snapshot
