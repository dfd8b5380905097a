"""`evidence.json`: the signed list of what evidence consists of. Whoever changes a file must change it too. Pure.

Its bytes are exactly the canonical JSON (RFC 8785) of

    schema "wartest.evidence/1" · of "campaign" or "folder" · campaign · made_at
    keys  [public keys in PEM, of each that ever signed]
    links [every report of the portal, in the order of the chain; `file` is null where it is not part of this evidence]
    files {name: {sha256, bytes}} · absent [{name, why}: what reports name and is not here] · seal

and its seal is a report's, with the hash of the chain's last link as `previous`. `evidence.schema.json` describes it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import rfc8785
from jsonschema import Draft202012Validator

from gates.evidence.keys import PublicKey, SigningKey, SigningKeyError, public_key
from gates.evidence.sealing import sealed
from gates.evidence.strict_json import JsonUnreadableError, read_object

SCHEMA = "wartest.evidence/1"
CAMPAIGN, FOLDER = "campaign", "folder"
SCHEMA_FILE = Path(__file__).with_name("evidence.schema.json")


class IndexUnreadableError(Exception):
    """The index is not what it should be; the message says how, without a full stop."""


@dataclass(frozen=True, slots=True)
class Link:
    """One report of the chain: whose it is, its seal, and the file that holds it where it is part of the evidence."""

    name: str
    file: str | None
    kind: str
    campaign: int | None
    run: int | None
    verdict: str
    sha256: str
    previous: str | None
    signed_by: str | None
    signature: str | None

    @property
    def seal(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("sha256", "previous", "signed_by", "signature")}

    def is_of(self, body: Mapping[str, Any]) -> bool:
        """Whether it says of a report what the report says of itself; one without a verdict is inconclusive."""
        said = (body.get("kind"), body.get("campaign"), body.get("run"), body.get("verdict") or "inconclusive")
        return body.get("seal") == self.seal and said == (self.kind, self.campaign, self.run, self.verdict)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file's SHA-256 and size."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Absent:
    """A file, or a folder of files, that a report names and that is not part of the evidence; `why` is a sentence."""

    name: str
    why: str

    def covers(self, name: str) -> bool:
        return name == self.name or name.startswith(f"{self.name}/")


@dataclass(frozen=True, slots=True)
class Index:
    """A read index; `body` is the whole of it, seal included."""

    of: str
    campaign: int | None
    made_at: str
    keys: Mapping[str, PublicKey]
    links: tuple[Link, ...]
    files: Mapping[str, FileEntry]
    absent: tuple[Absent, ...]
    body: dict[str, Any]

    @property
    def seal(self) -> dict[str, Any]:
        return dict(self.body["seal"])


@dataclass(frozen=True, slots=True)
class Contents:
    """What an index is written from."""

    of: str
    campaign: int | None
    made_at: str
    keys: Iterable[PublicKey]
    links: tuple[Link, ...]
    files: Mapping[str, FileEntry]
    absent: tuple[Absent, ...] = ()


def written_index(contents: Contents, key: SigningKey) -> bytes:
    """Return the bytes of the index, signed."""
    known = {one.fingerprint: one.pem for one in (*contents.keys, key.public)}
    body = {
        "schema": SCHEMA,
        "of": contents.of,
        "campaign": contents.campaign,
        "made_at": contents.made_at,
        "keys": [known[fingerprint] for fingerprint in sorted(known)],
        "links": [asdict(link) for link in contents.links],
        "files": {name: asdict(entry) for name, entry in contents.files.items()},
        "absent": [asdict(one) for one in contents.absent],
    }
    head = contents.links[-1].sha256 if contents.links else None
    return rfc8785.dumps(sealed(body, previous=head, key=key))


def read_index(content: bytes) -> Index:
    """Read the index. Raises IndexUnreadableError unless the bytes are exactly as they are written."""
    try:
        body = read_object(content)
        for mistake in _validator().iter_errors(body):
            raise IndexUnreadableError(f"its {mistake.json_path} is not what the schema says: {mistake.message[:120]}")
        if rfc8785.dumps(body) != content:
            raise IndexUnreadableError("its bytes are not the canonical JSON of its content")
        keys = [public_key(pem) for pem in body["keys"]]
    except JsonUnreadableError as error:
        raise IndexUnreadableError(str(error)) from error
    except SigningKeyError as error:
        raise IndexUnreadableError(f"one of its keys cannot be read ({str(error).rstrip('.')})") from error
    except (ValueError, RecursionError) as error:
        raise IndexUnreadableError(f"it has no canonical form ({type(error).__name__})") from error
    return Index(
        of=body["of"],
        campaign=body["campaign"],
        made_at=body["made_at"],
        keys={key.fingerprint: key for key in keys},
        links=tuple(Link(**link) for link in body["links"]),
        files={name: FileEntry(**entry) for name, entry in body["files"].items()},
        absent=tuple(Absent(**one) for one in body["absent"]),
        body=body,
    )


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(SCHEMA_FILE.read_text("utf-8")))
