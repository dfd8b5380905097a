"""`verify_evidence` on a terminal: sentences, a last line with the verdict, and the exit code."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from audits.verdicts import Verdict
from gates.evidence.judgement import Judgement, first_of
from gates.evidence.keys import PublicKey, SigningKeyError, public_key, public_keys
from gates.evidence.places import NoEvidenceError, StateFolder, open_place
from gates.evidence.verifying import Known, verify

EXIT_CODES = {Verdict.PASSED: 0, Verdict.FAILED: 1, Verdict.INCONCLUSIVE: 3}
CANNOT_START = 2
FINGERPRINT_DIGITS = 64
FOUND = ("reports", "links", "snapshots", "kept files", "files")


class WrongKeyError(Exception):
    """What was given as --key is no key; the message says what to give."""


def verify_path(path: Path, keys: Iterable[str], home: Path | None, say: Callable[[str], None]) -> int:
    """Verify, say what was found, and return the exit code: 0 passed, 1 failed, 2 no evidence, 3 inconclusive.

    `keys` are fingerprints or files of public keys that the reader trusts. Without any, those of the portal whose
    state folder is `home` are; where there is none either, nobody says whose evidence it is.
    """
    try:
        known = _known(list(keys), home)
        judgement = verify(open_place(path), known)
    except (NoEvidenceError, WrongKeyError) as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT_START
    for mark, sentences in (("■", judgement.wrong), ("◇", judgement.unjudged), ("·", judgement.notes)):
        for sentence in first_of(sentences):
            say(f"{mark} {sentence}")
    say(last_line(judgement))
    return EXIT_CODES[judgement.verdict]


def last_line(judgement: Judgement) -> str:
    """Return the verdict and what it rests on, in one line."""
    counted = [f"{judgement.counts[what]} {what}" for what in FOUND if judgement.counts.get(what)]
    return f"{judgement.verdict}: {', '.join(counted) or 'nothing could be looked at'}; {len(judgement.wrong)} wrong"


def _known(given: list[str], home: Path | None) -> Known:
    own = {key.fingerprint: key for key in (public_keys(home) if home else ())}
    state = StateFolder(home) if home and own else None
    if not given:
        return Known(frozenset(own), own, state)
    read = [_given(words) for words in given]
    keys = {key.fingerprint: key for key in read if isinstance(key, PublicKey)}
    fingerprints = frozenset(key if isinstance(key, str) else key.fingerprint for key in read)
    return Known(fingerprints, keys, state if fingerprints & own.keys() else None)


def _given(words: str) -> str | PublicKey:
    plain = words.replace(":", "").replace(" ", "").lower()
    if len(plain) == FINGERPRINT_DIGITS and not set(plain) - set("0123456789abcdef"):
        return plain
    try:
        return public_key(Path(words).read_text("ascii"))
    except (OSError, ValueError, SigningKeyError):
        raise WrongKeyError(
            f"--key {words[:100]!r} is neither a fingerprint (64 hexadecimal digits) nor a public key's PEM file."
        ) from None
