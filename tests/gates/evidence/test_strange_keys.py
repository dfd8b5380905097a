"""What a stranger can make of a portal's public key and of its genuine reports: never evidence that passes for it."""

import hashlib
import json
from itertools import product

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gates.evidence.chain import Rotation, judge_chain, trusted_keys
from gates.evidence.index import FOLDER, Contents, FileEntry, Link, written_index
from gates.evidence.keys import SigningKey
from gates.evidence.places import INDEX, open_place
from gates.evidence.sealing import sealed
from gates.evidence.verifying import Known, verify

PORTAL, STRANGER, OTHER = (SigningKey(Ed25519PrivateKey.generate()) for _ in range(3))
KEYS = {key.public.fingerprint: key.public for key in (PORTAL, STRANGER, OTHER)}
GENUINE = (("72-hour-test", "passed", PORTAL), ("chaos-test", "failed", PORTAL))
FORGED = (("chaos-test", "passed", STRANGER), ("phase-7-success", "passed", STRANGER))


def report(kind, verdict, key, previous):
    body = {"schema": "wartest.report/1", "kind": kind, "campaign": 1, "run": None, "verdict": verdict, "evidence": []}
    return sealed(body, previous=previous, key=key)


def rotation(before, after, lost, key, previous):
    body = {
        "schema": "wartest.key-rotation/1",
        "kind": "key-rotation",
        "campaign": None,
        "run": None,
        "from": {"fingerprint": before.public.fingerprint},
        "to": {"fingerprint": after.public.fingerprint},
        "lost": lost,
        "reason": "Yearly.",
    }
    return sealed(body, previous=previous, key=key)


def chained(*steps):
    """Return sealed bodies: of each (kind, verdict, key) a report, of each (before, after, lost, key) a rotation."""
    bodies = []
    for step in steps:
        previous = bodies[-1]["seal"]["sha256"] if bodies else None
        bodies.append((report if isinstance(step[0], str) else rotation)(*step, previous))
    return bodies


def link(number, body):
    name = f"{number}-{body['kind']}.json"
    return Link(name, name, body["kind"], body["campaign"], None, body.get("verdict", "inconclusive"), **body["seal"])


def folder_of(bodies, key, folder):
    """Write the reports and their index, signed with the key."""
    links = tuple(link(number, body) for number, body in enumerate(bodies))
    files = {}
    for one, body in zip(links, bodies, strict=True):
        content = json.dumps(body).encode()
        (folder / one.name).write_bytes(content)
        files[one.name] = FileEntry(hashlib.sha256(content).hexdigest(), len(content))
    contents = Contents(FOLDER, None, "2026-11-26T00:00:00Z", KEYS.values(), links, files)
    (folder / INDEX).write_bytes(written_index(contents, key))
    return folder


def judged(folder, key):
    return verify(open_place(folder), Known(frozenset({key.public.fingerprint})))


THERE, BACK = (STRANGER, PORTAL, False, STRANGER), (PORTAL, STRANGER, True, STRANGER)


@pytest.mark.parametrize(
    "steps",
    [
        (THERE, BACK, *FORGED),
        (*GENUINE[:1], BACK, *FORGED),
        (*GENUINE[:1], BACK, THERE, BACK, *FORGED),
        (*GENUINE, (PORTAL, STRANGER, False, STRANGER), *FORGED),
    ],
)
def test_a_strangers_rotations_lead_nowhere_from_the_portals_key(steps, tmp_path):
    found = judged(folder_of(chained(*steps), STRANGER, tmp_path), PORTAL)
    assert found.verdict == "failed"
    assert any("it is of another portal, or was signed again" in sentence for sentence in found.wrong)


def test_no_two_rotations_by_strangers_make_one_of_their_keys_trusted():
    anchors = frozenset({PORTAL.public.fingerprint})
    some = tuple(product((PORTAL, STRANGER, OTHER), (PORTAL, STRANGER, OTHER), (False, True), (STRANGER, OTHER)))
    made = {steps: link(0, rotation(*steps, None)) for steps in some}
    names = {
        steps: Rotation(made[steps], steps[0].public.fingerprint, steps[1].public.fingerprint, steps[2])
        for steps in some
    }
    for pair in product(some, repeat=2):
        assert trusted_keys(anchors, [names[steps] for steps in pair], KEYS) == anchors


def test_the_portals_own_rotation_is_followed_from_the_old_key_and_known_by_the_new(tmp_path):
    steps = (*GENUINE, (PORTAL, OTHER, False, PORTAL), ("chaos-test", "passed", OTHER))
    folder = folder_of(chained(*steps), OTHER, tmp_path)
    for key in (PORTAL, OTHER):
        found = judged(folder, key)
        assert (found.verdict, found.wrong, found.notes) == ("passed", [], [])


def test_a_new_key_vouches_for_none_before_it(tmp_path):
    folder = folder_of(chained(*GENUINE), PORTAL, tmp_path)
    assert judged(folder, PORTAL).verdict == "passed"
    assert judged(folder, OTHER).verdict == "failed"


def test_a_key_that_was_declared_lost_is_told_to_who_knows_its_successor(tmp_path):
    steps = (*GENUINE, (PORTAL, OTHER, True, OTHER), ("chaos-test", "passed", OTHER))
    found = judged(folder_of(chained(*steps), OTHER, tmp_path), OTHER)
    assert found.verdict == "passed"
    (note,) = found.notes
    lost, new = PORTAL.public.fingerprint[:16], OTHER.public.fingerprint[:16]
    assert note == f"2-key-rotation.json declares the key {lost}… lost: {new}… follows on its own word."


def test_a_rotation_replaces_the_key_that_signs_and_no_other():
    bodies = chained(*GENUINE, (STRANGER, OTHER, True, OTHER))
    links = [link(number, body) for number, body in enumerate(bodies)]
    turned = Rotation(links[-1], STRANGER.public.fingerprint, OTHER.public.fingerprint, True)
    found = judge_chain(links, KEYS, [turned])
    replaced, signing = STRANGER.public.fingerprint[:16], PORTAL.public.fingerprint[:16]
    assert found.wrong == [f"2-key-rotation.json replaces the key {replaced}… where {signing}… signs."]
