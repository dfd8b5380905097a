"""Verification: whether evidence is what was sealed, from its files and a public key alone: no Django, no database.

1. The index: its bytes, its seal, and whether its signer's key is known from elsewhere than from the evidence itself.
2. Every file of the index by its hash; files that no index names.
3. The chain of the portal's reports: order, gaps, signatures, rotations of the key.
4. Each report's content by its own seal, and what it names by hash: snapshots, logs, receipts, screenshots, reports.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gates.evidence.chain import ROTATION, Rotation, judge_chain, last_signer, rotation_of, trusted_keys
from gates.evidence.index import CAMPAIGN, Index, IndexUnreadableError, Link, read_index
from gates.evidence.judgement import Judgement
from gates.evidence.keys import PublicKey
from gates.evidence.loose import judge_unnamed, verify_loose
from gates.evidence.named import snapshots_named
from gates.evidence.places import INDEX, FileUnreadableError, Place, Readable, StateFolder
from gates.evidence.reading import bytes_of, sha256_of
from gates.evidence.sealing import hash_of, signed_part
from gates.evidence.strict_json import JsonUnreadableError, read_object

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Known:
    """What the verifier has from elsewhere: keys to trust, the portal's own state folder, and a time limit.

    `fingerprints` are of trusted keys, `keys` the keys themselves where their files were given. `home` serves what a
    folder of reports names but does not hold. `until` is on the monotonic clock. `tell` hears each file's name.
    """

    fingerprints: frozenset[str] = frozenset()
    keys: Mapping[str, PublicKey] = field(default_factory=dict)
    home: StateFolder | None = None
    until: float | None = None
    tell: Callable[[str], None] = lambda name: None


def verify(place: Place, known: Known) -> Judgement:
    """Judge the evidence of a place. Raises NoEvidenceError where there is none."""
    if INDEX not in place.names:
        return verify_loose(place, known.keys)
    found = Judgement()
    try:
        index = read_index(bytes_of(place, INDEX))
    except (IndexUnreadableError, FileUnreadableError) as error:
        found.wrong.append(f"{INDEX} has changed: {error}.")
        return found
    _Verification(place, known, index, found).run()
    return found


class _Verification:
    """The steps of `verify`, sharing the index, the hashes measured so far and the judgement."""

    def __init__(self, place: Place, known: Known, index: Index, found: Judgement) -> None:
        self.place = place
        self.known = known
        self.index = index
        self.found = found
        self.keys = {**known.keys, **index.keys}
        self._measured: dict[str, str | None] = {}
        self._late = False

    def run(self) -> None:
        rotations = self._rotations()
        self._seal()
        self._trust(rotations)
        self._files()
        self._added()
        self._chain(rotations)
        for link in self.index.links:
            if link.file is not None and self._in_time():
                self._report(link)
        self.found.unjudged += [f"{one.name} is not part of the evidence: {one.why}" for one in self.index.absent]

    def _rotations(self) -> list[Rotation]:
        found = []
        for link in self.index.links:
            if link.kind == ROTATION:
                body = self._body(link, say=False)
                rotation = rotation_of(link, body) if body and hash_of(body) == link.sha256 else None
                if rotation is None:
                    self.found.wrong.append(f"{link.name} does not say which key replaced which.")
                else:
                    found.append(rotation)
        return found

    def _seal(self) -> None:
        seal, head = self.index.seal, self.index.links[-1].sha256 if self.index.links else None
        key = self.keys.get(seal["signed_by"])
        if hash_of(self.index.body) != seal["sha256"]:
            self.found.wrong.append(f"{INDEX} has changed: its content does not have the hash that was sealed.")
        if key is None:
            self.found.unjudged.append(
                f"The key {seal['signed_by']} that signed {INDEX} is not here: give it by --key."
            )
        elif not key.verifies(seal["signature"], signed_part(seal)):
            self.found.wrong.append(f"{INDEX} has changed: its signature is not of this content.")
        if seal["previous"] != head:
            self.found.wrong.append(f"{INDEX} does not end with the chain's last report: one was removed or added.")

    def _trust(self, rotations: list[Rotation]) -> None:
        """The evidence is the portal's when its signer's key is known from elsewhere, or vouched for by one that is."""
        signer, due = self.index.seal["signed_by"], last_signer(self.index.links, rotations)
        if due not in {None, signer}:
            self.found.wrong.append(f"{INDEX} is signed by {signer[:16]}…, but the portal signs with {str(due)[:16]}….")
        if not self.known.fingerprints:
            self.found.unjudged.append(
                f"Whose evidence this is cannot be judged: the key {signer} that signed it came with it. "
                "Ask the portal's people for their fingerprint and give it by --key."
            )
        elif signer not in trusted_keys(self.known.fingerprints, rotations, self.keys):
            asked = " or ".join(sorted(f"{one[:16]}…" for one in self.known.fingerprints))
            self.found.wrong.append(
                f"{INDEX} is signed by {signer[:16]}…, not by {asked}: it is of another portal, or was signed again."
            )

    def _files(self) -> None:
        for name, entry in sorted(self.index.files.items()):
            if not self._in_time():
                return
            self.known.tell(name)
            if name not in self.place.names:
                self.found.wrong.append(f"{name} is missing: it was removed.")
                continue
            self.found.count("files")
            measured = self._sha256(self.place, name)
            if measured is not None and measured != entry.sha256:
                self.found.wrong.append(f"{name} has changed: its SHA-256 is not the one in {INDEX}.")

    def _added(self) -> None:
        """A file of a campaign's evidence that the index does not name was added; a folder may hold other things."""
        unnamed = sorted(self.place.names - {INDEX} - self.index.files.keys())
        odd = sorted(self.place.odd)
        if self.index.of == CAMPAIGN:
            self.found.wrong += [f"{name} was added: {INDEX} does not name it." for name in unnamed]
            self.found.wrong += [f"{name} is a link or a device: evidence holds plain files." for name in odd]
        else:
            self.found.wrong += [
                f"{name} is a link: evidence is a plain file." for name in odd if name in self.index.files
            ]
            judge_unnamed(self.place, unnamed, self.index.links, self.found)

    def _chain(self, rotations: list[Rotation]) -> None:
        chain = judge_chain(self.index.links, self.keys, rotations)
        self.found.wrong += chain.wrong
        self.found.unjudged += chain.unjudged
        self.found.notes += chain.notes
        self.found.count("links", len(self.index.links))
        if self.index.of == CAMPAIGN:
            gone = [link for link in self.index.links if link.campaign == self.index.campaign and link.file is None]
            self.found.wrong += [f"{link.name} is missing: it is a report of this campaign." for link in gone]

    def _report(self, link: Link) -> None:
        body = self._body(link, say=True)
        if body is None:
            return
        self.found.count("reports")
        if not link.is_of(body):
            self.found.wrong.append(f"{link.file} is not the report that the chain has in its place.")
        elif hash_of(body) != link.sha256:
            self.found.wrong.append(f"{link.file} has changed: its content does not have the hash that was sealed.")
        else:
            try:
                self._named(link, body)
            except (KeyError, TypeError, AttributeError, ValueError):
                self.found.wrong.append(f"{link.file} names its files in a way that cannot be read.")

    def _named(self, link: Link, body: Mapping[str, Any]) -> None:
        """Judge what a report names by hash: reports, the manifest of a snapshot and the files in it, other files."""
        chain = {each.sha256: each for each in self.index.links}
        for one in body.get("reports") or ():
            other = chain.get(one["sha256"])
            if other is None or (other.run, other.verdict) != (one["run"], one["verdict"]):
                self.found.wrong.append(f"{link.name} names {one['file']} otherwise than the chain does.")
        for snapshot in snapshots_named(body, link.run):
            if self._named_file(f"{snapshot.folder}/{MANIFEST}", snapshot.manifest_sha256, link):
                self._snapshot(snapshot.folder, link)
        for entry in body.get("evidence") or ():
            if self._named_file(entry["file"], entry["sha256"], link):
                self.found.count("kept files")

    def _snapshot(self, folder: str, link: Link) -> None:
        """Compare each Parquet file with the manifest, whose own hash is the report's."""
        place = self._place_of(f"{folder}/{MANIFEST}")
        try:
            relations = read_object(bytes_of(place, f"{folder}/{MANIFEST}"))["relations"] if place else {}
        except (JsonUnreadableError, FileUnreadableError) as error:
            self.found.wrong.append(f"{folder}/{MANIFEST} cannot be read: {error}.")
            return
        self.found.count("snapshots")
        for relation in relations.values():
            self._named_file(f"{folder}/{relation['file']}", relation["sha256"], link)

    def _named_file(self, name: str, sha256: str, link: Link) -> bool:
        """Judge a file that a report names by its hash. Returns whether it is here and unchanged."""
        place = self._place_of(name)
        if place is None:
            if not any(one.covers(name) for one in self.index.absent) and name not in self.index.files:
                kind = self.found.wrong if self.index.of == CAMPAIGN else self.found.unjudged
                kind.append(f"{name} is not here, though {link.name} names it.")
            return False
        if not self._in_time():
            return False
        self.known.tell(name)
        measured = self._sha256(place, name)
        listed = self.index.files.get(name)
        if measured is not None and measured != sha256 and (listed is None or listed.sha256 == measured):
            self.found.wrong.append(f"{name} has changed: its SHA-256 is not the one that {link.name} rests on.")
        return measured == sha256

    def _place_of(self, name: str) -> Readable | None:
        if name in self.place.names:
            return self.place
        return self.known.home if self.known.home and self.known.home.holds(name) else None

    def _body(self, link: Link, *, say: bool) -> dict[str, Any] | None:
        """Return a report's content, or None where there is none: that its file is missing is said elsewhere."""
        if link.file is None or link.file not in self.place.names:
            return None
        try:
            return read_object(bytes_of(self.place, link.file))
        except (JsonUnreadableError, FileUnreadableError) as error:
            if say:
                self.found.wrong.append(f"{link.file} cannot be read: {error}.")
            return None

    def _sha256(self, place: Readable, name: str) -> str | None:
        """Return the file's hash, measured once; None where it cannot be read, which is said once."""
        if name not in self._measured:
            try:
                self._measured[name] = sha256_of(place, name)
            except FileUnreadableError as error:
                self.found.wrong.append(f"{name} has changed: {error}.")
                self._measured[name] = None
        return self._measured[name]

    def _in_time(self) -> bool:
        if not self._late and self.known.until is not None and time.monotonic() > self.known.until:
            self._late = True
            self.found.unjudged.append("The time limit was over before everything was looked at.")
        return not self._late
