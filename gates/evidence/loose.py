"""Reports that no index names: a folder without one, and what lies beside those that one names."""

from collections.abc import Iterable, Mapping
from typing import Any

from gates.evidence.index import Link
from gates.evidence.judgement import Judgement
from gates.evidence.keys import PublicKey
from gates.evidence.places import INDEX, FileUnreadableError, NoEvidenceError, Place
from gates.evidence.reading import bytes_of
from gates.evidence.sealing import hash_of, signed_part
from gates.evidence.strict_json import JsonUnreadableError, read_object

REPORT = "wartest.report/"


def verify_loose(place: Place, keys: Mapping[str, PublicKey]) -> Judgement:
    """Judge reports by themselves. Without an index nobody can say that none was removed, so this never passes.

    Raises NoEvidenceError where there is no report.
    """
    found = Judgement()
    bodies = dict(_reports(place, sorted(place.names)))
    if not bodies:
        raise NoEvidenceError(f"There is neither {INDEX} nor a report of wartest in it.")
    found.unjudged.append(f"There is no {INDEX}: that no report was removed cannot be judged.")
    for name, body in bodies.items():
        found.count("reports")
        found.wrong += _own_seal(name, body, keys, found)
    return found


def judge_unnamed(place: Place, names: Iterable[str], links: Iterable[Link], found: Judgement) -> None:
    """Say which files beside those of the index are reports that do not belong here."""
    known = {link.sha256 for link in links}
    reports = dict(_reports(place, names))
    for name, body in reports.items():
        if _seal(body).get("sha256") in known and hash_of(body) in known:
            found.notes.append(f"{name} is a copy of a report of the chain.")
        elif body.get("campaign") is None and not _seal(body).get("signed_by"):
            found.wrong += _own_seal(name, body, {}, found)
            found.notes.append(f"{name} was made from a terminal: it stands outside of the chain, unsigned.")
        else:
            found.wrong.append(f"{name} was added: it is not in this portal's chain of reports.")
    others = len(set(names) - reports.keys())
    if others:
        found.notes.append(f"{others} other files here are no part of the evidence.")


def _reports(place: Place, names: Iterable[str]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield the files that are reports; what cannot be read is none."""
    for name in names:
        if not name.endswith(".json") or name == INDEX:
            continue
        try:
            body = read_object(bytes_of(place, name))
        except (JsonUnreadableError, FileUnreadableError):
            continue
        if str(body.get("schema")).startswith(REPORT):
            yield name, body


def _own_seal(name: str, body: dict[str, Any], keys: Mapping[str, PublicKey], found: Judgement) -> list[str]:
    """Judge a report by nothing but its own seal."""
    seal = _seal(body)
    if not {"sha256", "previous", "signed_by", "signature"} <= seal.keys():
        return [f"{name} has no seal."]
    if hash_of(body) != seal["sha256"]:
        return [f"{name} has changed: its content does not have the hash in its seal."]
    signer = seal["signed_by"]
    if signer is None:
        found.notes.append(f"{name} is unsigned.")
    elif signer not in keys:
        found.unjudged.append(f"{name} is signed by the key {str(signer)[:16]}…, which is not here: give it by --key.")
    elif not keys[signer].verifies(str(seal["signature"]), signed_part(seal)):
        return [f"The signature of {name} is not of its hash and its place in the chain: one was changed."]
    return []


def _seal(body: dict[str, Any]) -> dict[str, Any]:
    """Return the seal; one that holds anything but texts and nulls is none."""
    seal = body.get("seal")
    if not isinstance(seal, dict) or any(not isinstance(value, str | None) for value in seal.values()):
        return {}
    return seal
