"""The chain: each report names the hash of the one before, and its signature covers both. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gates.evidence.index import Link
from gates.evidence.judgement import Judgement
from gates.evidence.keys import PublicKey
from gates.evidence.sealing import signed_part

ROTATION = "key-rotation"


@dataclass(frozen=True, slots=True)
class Rotation:
    """A change of the signing key, as its link records it. A lost key cannot sign for the next one."""

    link: Link
    before: str
    after: str
    lost: bool


def rotation_of(link: Link, body: Mapping[str, Any]) -> Rotation | None:
    """Return what a rotation's report says, or None where it does not say it."""
    try:
        before, after = str(body["from"]["fingerprint"]), str(body["to"]["fingerprint"])
        return Rotation(link, before, after, bool(body["lost"]))
    except (KeyError, TypeError):
        return None


def judge_chain(links: Sequence[Link], keys: Mapping[str, PublicKey], rotations: Sequence[Rotation]) -> Judgement:
    """Say of each link whether it follows the one before, and is signed by the key of its time."""
    found = Judgement()
    found.wrong += _order(links)
    found.wrong += _doubles(links)
    known = {rotation.link.sha256: rotation for rotation in rotations}
    current: str | None = None
    for link in links:
        if link.signed_by is None:
            _unsigned(found, link, after_signed=current is not None)
            continue
        rotation = known.get(link.sha256) if link.kind == ROTATION else None
        signing, current = current, _signer_due(rotation, current)
        if current is not None and link.signed_by != current:
            found.wrong.append(
                f"{link.name} is signed by the key {_short(link.signed_by)} where {_short(current)} signs: "
                f"it was signed again, or is of another portal."
            )
        _signature(found, link, keys)
        if rotation is not None:
            _replaced(found, rotation, signing)
        current = rotation.after if rotation else current or link.signed_by
    found.count("links", len(links))
    return found


def last_signer(links: Sequence[Link], rotations: Sequence[Rotation]) -> str | None:
    """Return the fingerprint of the key that signs after the last link, or None where nothing is signed."""
    known = {rotation.link.sha256: rotation for rotation in rotations}
    newest = next((link for link in reversed(links) if link.signed_by), None)
    if newest is None:
        return None
    rotation = known.get(newest.sha256) if newest.kind == ROTATION else None
    return rotation.after if rotation else newest.signed_by


def trusted_keys(anchors: frozenset[str], rotations: Sequence[Rotation], keys: Mapping[str, PublicKey]) -> set[str]:
    """Return the keys that follow from those known from elsewhere.

    A trusted key that signed a rotation vouches for the next one, and for nothing else: whom a key replaced, only the
    one before could say, since everybody can sign that his own key was followed by somebody else's. A key declared
    lost vouches for nothing, so nothing leads from it to its successor.
    """
    trusted = set(anchors)
    for rotation in rotations:
        key = keys.get(rotation.before) if rotation.link.signed_by == rotation.before else None
        signed = key is not None and key.verifies(str(rotation.link.signature), signed_part(rotation.link.seal))
        if signed and not rotation.lost and rotation.before in trusted:
            trusted.add(rotation.after)
    return trusted


def _order(links: Sequence[Link]) -> Iterator[str]:
    place = {link.sha256: number for number, link in enumerate(links)}
    for number, link in enumerate(links):
        due = links[number - 1].sha256 if number else None
        if link.previous == due:
            continue
        if link.previous is None:
            yield f"{link.name} says it is the first of the chain, but {links[number - 1].name} comes before it."
        elif link.previous in place:
            yield f"{link.name} is out of order: the report before it should be {links[place[link.previous]].name}."
        else:
            where = f"between {links[number - 1].name} and {link.name}" if number else f"before {link.name}"
            yield f"A report is missing {where}: the one with the hash {_short(link.previous)}."


def _doubles(links: Sequence[Link]) -> Iterator[str]:
    seen: set[str] = set()
    for link in links:
        if link.sha256 in seen:
            yield f"{link.name} is in the chain twice."
        seen.add(link.sha256)


def _unsigned(found: Judgement, link: Link, *, after_signed: bool) -> None:
    if after_signed:
        found.wrong.append(f"{link.name} is unsigned, though reports before it are signed: its signature was removed.")
    else:
        found.notes.append(f"{link.name} is unsigned: it was written before this portal had a key.")


def _signer_due(rotation: Rotation | None, current: str | None) -> str | None:
    """Return who must have signed the link: the key of its time, or the new key where the old one was lost."""
    return rotation.after if rotation and rotation.lost else current


def _replaced(found: Judgement, rotation: Rotation, signing: str | None) -> None:
    """A rotation replaces the key that signs, and one whose key was lost is told to whoever reads the judgement."""
    name, before = rotation.link.name, _short(rotation.before)
    if signing not in {None, rotation.before}:
        found.wrong.append(f"{name} replaces the key {before} where {_short(signing)} signs.")
    if rotation.lost:
        found.notes.append(f"{name} declares the key {before} lost: {_short(rotation.after)} follows on its own word.")


def _signature(found: Judgement, link: Link, keys: Mapping[str, PublicKey]) -> None:
    key = keys.get(link.signed_by or "")
    if key is None:
        found.unjudged.append(
            f"The key {_short(link.signed_by)} that signed {link.name} is not here: give it by --key."
        )
    elif not key.verifies(str(link.signature), signed_part(link.seal)):
        found.wrong.append(
            f"The signature of {link.name} is not of its hash and its place in the chain: one was changed."
        )


def _short(text: str | None) -> str:
    return f"{str(text)[:16]}…"
