"""The evidence of a campaign as a tree of files: what an outsider gets, and what the portal's own look goes over.

Nothing in it is measured from the disk and then signed: what lies there must have the hash that was sealed.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string

from gates.evidence.cover import cover_context, summary_of
from gates.evidence.files import rendered
from gates.evidence.index import CAMPAIGN, Absent, Contents, FileEntry, written_index
from gates.evidence.keys import PublicKey, public_keys
from gates.evidence.links import links
from gates.evidence.named import snapshots_named
from gates.evidence.places import INDEX, FileUnreadableError, StateFolder
from gates.evidence.reading import bytes_of
from gates.evidence.signing import portal_key
from gates.evidence.strict_json import JsonUnreadableError, read_object
from gates.evidence.verifying import MANIFEST
from gates.evidence.zipping import Streamed
from gates.models import Campaign, Report
from gates.report_fields import utc

COVER = ("index.html", "README.txt")


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the tree: what it must be, and its bytes."""

    entry: FileEntry
    chunks: Callable[[], Iterator[bytes]]


class Tree:
    """The parts by name, as a place that can be verified and as files for a zip."""

    odd: tuple[str, ...] = ()

    def __init__(self, parts: dict[str, Part]) -> None:
        self._parts = parts
        self.names = frozenset(parts)

    def chunks(self, name: str) -> Iterator[bytes]:
        return self._parts[name].chunks()

    def streamed(self) -> Iterator[Streamed]:
        """Yield the files in the order in which a zip holds them."""
        for name, part in self._parts.items():
            yield Streamed(name, part.chunks, packed=name.endswith(".parquet"))


def campaign_tree(campaign: Campaign, now: datetime) -> Tree:
    """Return the evidence of a campaign as of now, its index signed. Raises SigningKeyError.

    What reports name and the disk no longer has is said in the index, and makes what rests on it inconclusive.
    """
    key = portal_key()
    home = Path(settings.ENVIRONMENT.wartest_home)
    keys = {one.fingerprint: one for one in (*public_keys(home), key.public)}
    gathered = _Gathered(StateFolder(home), now)
    mine = Report.objects.filter(campaign=campaign) | Report.objects.filter(kind=Report.ROTATION)
    for pk in mine.order_by("pk").values_list("pk", flat=True):
        gathered.take(Report.objects.get(pk=pk))
    whole = links(gathered.files)
    context = cover_context(campaign, gathered.summaries, gathered.absent, chain=whole, key=key.public, now=now)
    parts = {name: _in_memory(render_to_string(f"evidence/{name}", context).encode()) for name in COVER}
    parts |= gathered.parts | {f"keys/{name}.pem": _key_part(one) for name, one in keys.items()}
    contents = Contents(
        of=CAMPAIGN,
        campaign=campaign.pk,
        made_at=utc(now),
        keys=keys.values(),
        links=whole,
        files={name: part.entry for name, part in parts.items()},
        absent=tuple(gathered.absent),
    )
    return Tree(parts | {INDEX: _in_memory(written_index(contents, key))})


class _Gathered:
    """What was gathered so far of reports and of the files that they name. One report is in memory at a time."""

    def __init__(self, state: StateFolder, now: datetime) -> None:
        self._state = state
        self._gone = f"it had gone from the portal's disk when this was put together ({now:%Y-%m-%d %H:%M} UTC)."
        self.parts: dict[str, Part] = {}
        self.absent: list[Absent] = []
        self.files: dict[str, str] = {}
        self.summaries: list[dict[str, Any]] = []

    def take(self, report: Report) -> None:
        name = f"reports/{report.file_name}"
        content = rendered(report.content)
        entry = FileEntry(hashlib.sha256(content).hexdigest(), len(content))
        self.parts[name] = Part(entry, partial(_rendered, report.pk))
        self.files[report.sha256] = name
        if report.kind != Report.ROTATION:
            self.summaries.append(summary_of(report, name))
            self._named(report)

    def _named(self, report: Report) -> None:
        for snapshot in snapshots_named(report.content, report.run_id):
            self._snapshot(snapshot.folder, snapshot.manifest_sha256)
        for kept in report.content.get("evidence", ()):
            self._file(kept["file"], kept["sha256"])

    def _snapshot(self, folder: str, manifest_sha256: str) -> None:
        name = f"{folder}/{MANIFEST}"
        if not self._state.holds(name):
            self.absent.append(Absent(folder, self._gone))
            return
        self._file(name, manifest_sha256)
        for file, sha256 in self._relations(name, manifest_sha256):
            self._file(f"{folder}/{file}", sha256)

    def _relations(self, name: str, manifest_sha256: str) -> Iterable[tuple[str, str]]:
        """Return (file, hash) of the relations; none where the manifest itself has changed, as its hash will tell."""
        try:
            content = bytes_of(self._state, name)
            if hashlib.sha256(content).hexdigest() != manifest_sha256:
                return []
            relations = read_object(content)["relations"]
        except (FileUnreadableError, JsonUnreadableError):
            return []
        return [(str(entry["file"]), str(entry["sha256"])) for entry in relations.values()]

    def _file(self, name: str, sha256: str) -> None:
        if self._state.holds(name):
            entry = FileEntry(sha256, self._state.size(name))
            self.parts[name] = Part(entry, partial(self._state.chunks, name))
        else:
            self.absent.append(Absent(name, self._gone))


def _rendered(pk: int) -> Iterator[bytes]:
    yield rendered(Report.objects.get(pk=pk).content)


def _key_part(key: PublicKey) -> Part:
    return _in_memory(key.pem.encode())


def _in_memory(content: bytes) -> Part:
    return Part(FileEntry(hashlib.sha256(content).hexdigest(), len(content)), lambda: iter((content,)))
