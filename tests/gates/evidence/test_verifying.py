"""What an outsider's check finds: every change of a file, report, snapshot, place in the chain, or key."""

import hashlib
import json
import re
import shutil
from dataclasses import asdict, replace

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gates.evidence.index import Absent, Contents, FileEntry, read_index, written_index
from gates.evidence.keys import SigningKey, public_key
from gates.evidence.places import INDEX, FolderPlace, StateFolder, open_place
from gates.evidence.sealing import body_sha256, sealed
from gates.evidence.verifying import Known, verify

pytestmark = pytest.mark.django_db  # so that the portal that makes the evidence has a database

A_FILE_OF_EACH_KIND = (
    "reports/72-hour-test-",
    "reports/chaos-test-",
    "reports/manual-audit-",
    "reports/phase-7-success-",
    "reports/key-rotation-",
    "snapshots/run-N/manifest.json",
    "snapshots/run-N/balance_events.parquet",
    "snapshots/run-N/broker_transactions.parquet",
    "evidence/run-N/log.jsonl",
    "evidence/run-N/slots.jsonl",
    "evidence/run-N/strikes.jsonl",
    "evidence/run-N/heals.jsonl",
    "evidence/run-N/attachments/screen of the desk.png",
    "keys/",
    "index.html",
    "README.txt",
    "evidence.json",
)


def judged(path, *fingerprints, **known):
    return verify(open_place(path), Known(frozenset(fingerprints), **known))


@pytest.fixture
def tree(evident, tmp_path):
    return evident.unpacked(tmp_path / "unpacked")


def named(tree, start):
    """Return the name of the first file that starts so; whatever run of the portal it is of."""
    pattern = re.compile(re.escape(start).replace("run\\-N", r"run-\d+"))
    names = sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file())
    return next(name for name in names if pattern.match(name))


def test_untouched_evidence_passes_as_zip_as_folder_and_as_the_folder_around_it(evident, tree):
    for path in (evident.zip, tree, tree.parent):
        found = judged(path, evident.fingerprint)
        assert (found.verdict, found.wrong, found.unjudged) == ("passed", [], [])
        assert found.counts == {
            "links": 7,
            "reports": 5,
            "snapshots": 1,
            "kept files": 12,
            "files": len(list(tree.rglob("*.*"))) - 1,
        }


def changed_digit(content):
    """Change the last digit of the bytes; a file without one loses its last bit."""
    places = [place for place, byte in enumerate(content) if chr(byte).isdigit()] or [len(content) - 1]
    place = places[len(places) // 2]
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize("kind", A_FILE_OF_EACH_KIND)
def test_one_changed_digit_is_found_and_its_file_named(evident, tree, kind):
    path = tree / named(tree, kind)
    path.write_bytes(changed_digit(path.read_bytes()))
    found = judged(tree, evident.fingerprint)
    assert found.verdict == "failed"
    name = path.relative_to(tree).as_posix()
    assert [sentence for sentence in found.wrong if sentence.startswith(name) and "has changed" in sentence]
    assert all("\n" not in sentence for sentence in found.wrong)


@pytest.mark.parametrize("kind", A_FILE_OF_EACH_KIND[:-1])
def test_a_removed_file_is_named(evident, tree, kind):
    name = named(tree, kind)
    (tree / name).unlink()
    found = judged(tree, evident.fingerprint)
    assert found.verdict == "failed"
    assert f"{name} is missing: it was removed." in found.wrong


def test_without_its_index_nothing_passes(evident, tree):
    (tree / INDEX).unlink()
    found = judged(tree, evident.fingerprint)
    assert found.verdict == "inconclusive"
    assert found.unjudged[0] == "There is no evidence.json: that no report was removed cannot be judged."


@pytest.mark.parametrize("name", ["reports/new.json", "note.txt", "snapshots/run-9/deep/er/x.parquet", ".hidden"])
def test_an_added_file_is_named(evident, tree, name):
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_text("{}")
    found = judged(tree, evident.fingerprint)
    assert found.wrong == [f"{name} was added: evidence.json does not name it."]


def test_a_link_is_no_file_wherever_it_leads(evident, tree):
    name = named(tree, "reports/72-hour-test-")
    (tree / name).rename(tree.parent / "moved.json")
    (tree / name).symlink_to(tree.parent / "moved.json")
    found = judged(tree, evident.fingerprint)
    assert f"{name} is a link or a device: evidence holds plain files." in found.wrong


class Flipped:
    """A place of which one byte is another."""

    odd = ()

    def __init__(self, place, name, offset, bits):
        self.place, self.name, self.offset, self.bits = place, name, offset, bits
        self.names = place.names

    def chunks(self, name):
        content = b"".join(self.place.chunks(name))
        if name == self.name:
            changed = bytearray(content)
            changed[self.offset % len(content)] ^= self.bits
            content = bytes(changed)
        yield content


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_flipped_byte_of_any_file_is_noticed(evident, data):
    place = open_place(evident.zip)
    full = sorted(name for name in place.names if any(place.chunks(name)))
    name = data.draw(st.sampled_from(full))
    offset, bits = data.draw(st.integers(0, 10**6)), data.draw(st.integers(1, 255))
    found = verify(Flipped(place, name, offset, bits), Known(frozenset({evident.fingerprint})))
    assert found.verdict == "failed"
    assert any(name in sentence for sentence in found.wrong)


class Forger:
    """Who has the whole evidence and a key of his own, and writes the index anew."""

    def __init__(self, tree):
        self.tree = tree
        self.index = read_index((tree / INDEX).read_bytes())
        self.key = SigningKey(Ed25519PrivateKey.generate())

    def write(self, **changes):
        """Sign the index with the forger's key, every file measured as it now is."""
        names = FolderPlace(self.tree).names - {INDEX}
        files = {
            name: replace(self.index.files.get(name) or FileEntry("", 0), sha256=sha256(self.tree / name))
            for name in names
        }
        contents = Contents(
            of=self.index.of,
            campaign=self.index.campaign,
            made_at=self.index.made_at,
            keys=self.index.keys.values(),
            links=self.index.links,
            files=files,
            absent=self.index.absent,
        )
        (self.tree / INDEX).write_bytes(written_index(replace(contents, **changes), self.key))

    def sign_again(self, name, **fields):
        """Change a report, seal it with the forger's key, and put it in its place in the chain."""
        body = json.loads((self.tree / name).read_text()) | fields
        body = sealed(body, previous=body["seal"]["previous"], key=self.key)
        (self.tree / name).write_text(json.dumps(body))
        return tuple(
            replace(link, **body["seal"], verdict=body["verdict"]) if link.file == name else link
            for link in self.index.links
        )


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_whoever_signs_everything_again_has_another_key(evident, tree):
    forger = Forger(tree)
    (tree / "index.html").write_text("All passed.")
    forger.write()
    found = judged(tree, evident.fingerprint)
    assert found.verdict == "failed"
    assert any("was signed again" in sentence and evident.fingerprint[:16] in sentence for sentence in found.wrong)


def test_a_key_that_came_with_the_evidence_is_never_believed(evident, tree):
    untouched = judged(tree)
    assert (untouched.verdict, untouched.wrong) == ("inconclusive", [])
    assert evident.fingerprint in untouched.unjudged[0]


def test_one_report_signed_again_with_another_key_is_named(evident, tree):
    forger = Forger(tree)
    name = named(tree, "reports/chaos-test-")
    links = forger.sign_again(name, verdict="inconclusive")
    forger.write(links=links)
    found = judged(tree, evident.fingerprint, forger.key.public.fingerprint)
    assert any(
        sentence.startswith(name.removeprefix("reports/"))
        and "it was signed again, or is of another portal" in sentence
        for sentence in found.wrong
    )


def relinked(forger, order):
    forger.write(links=tuple(forger.index.links[place] for place in order))


def test_a_report_taken_out_of_the_chain_leaves_a_gap_that_is_named(evident, tree):
    forger = Forger(tree)
    names = [link.name for link in forger.index.links]
    relinked(forger, [0, 1, 2, 3, 5, 6])
    found = judged(tree, forger.key.public.fingerprint)
    assert any(f"A report is missing between {names[3]} and {names[5]}" in sentence for sentence in found.wrong)
    relinked(forger, [1, 2, 3, 4, 5, 6])
    found = judged(tree, forger.key.public.fingerprint)
    assert any(f"A report is missing before {names[1]}" in sentence for sentence in found.wrong)


def test_reports_out_of_order_are_named(evident, tree):
    forger = Forger(tree)
    names = [link.name for link in forger.index.links]
    relinked(forger, [0, 1, 2, 4, 3, 5, 6])
    found = judged(tree, forger.key.public.fingerprint)
    assert any(sentence.startswith(f"{names[4]} is out of order") for sentence in found.wrong)


def test_a_gap_that_was_closed_by_changing_the_next_report_breaks_its_signature(evident, tree):
    forger = Forger(tree)
    links = list(forger.index.links)
    links[5] = replace(links[5], previous=links[3].sha256)
    del links[4]
    forger.write(links=tuple(links))
    found = judged(tree, forger.key.public.fingerprint)
    assert any(sentence.startswith(f"The signature of {links[4].name} is not of its hash") for sentence in found.wrong)


def test_a_report_of_another_portal_in_the_chain_is_named(evident, tree):
    forger = Forger(tree)
    body = {"schema": "wartest.report/1", "kind": "72-hour-test", "campaign": forger.index.campaign, "run": 9}
    body = sealed(body, previous=forger.index.links[-1].sha256, key=forger.key)
    (tree / "reports" / "other.json").write_text(json.dumps(body))
    last = replace(
        forger.index.links[-1], name="other.json", file="reports/other.json", kind="72-hour-test", run=9, **body["seal"]
    )
    forger.write(links=(*forger.index.links, last))
    found = judged(tree, forger.key.public.fingerprint)
    assert any(sentence.startswith("other.json is signed by the key") for sentence in found.wrong)


@pytest.mark.parametrize("changed", [{"verdict": "failed"}, {"run": None}, {"kind": "manual-audit"}])
def test_a_list_that_says_of_a_report_what_it_does_not_say_is_named(evident, tree, changed):
    forger = Forger(tree)
    name = named(tree, "reports/72-hour-test-")
    body = json.loads((tree / name).read_text())
    forger.write(links=tuple(replace(link, **changed) if link.file == name else link for link in forger.index.links))
    assert any(body[field] != value for field, value in changed.items())
    found = judged(tree, forger.key.public.fingerprint)
    assert f"{name} is not the report that the chain has in its place." in found.wrong


def test_a_signature_that_was_removed_is_named(evident, tree):
    forger = Forger(tree)
    links = list(forger.index.links)
    links[4] = replace(links[4], signed_by=None, signature=None)
    forger.write(links=tuple(links))
    found = judged(tree, forger.key.public.fingerprint)
    assert (
        f"{links[4].name} is unsigned, though reports before it are signed: its signature was removed." in found.wrong
    )


def test_a_report_of_the_campaign_that_is_called_not_part_of_it_is_missed(evident, tree):
    forger = Forger(tree)
    links = list(forger.index.links)
    (tree / links[4].file).unlink()
    links[4] = replace(links[4], file=None)
    forger.write(links=tuple(links))
    found = judged(tree, forger.key.public.fingerprint)
    assert f"{links[4].name} is missing: it is a report of this campaign." in found.wrong


def test_another_snapshot_under_a_forged_index_is_not_what_the_report_rests_on(evident, tree):
    forger = Forger(tree)
    path = tree / named(tree, "snapshots/run-N/orders.parquet")
    path.write_bytes(path.read_bytes() + b" ")
    forger.write()
    found = judged(tree, forger.key.public.fingerprint)
    name = path.relative_to(tree).as_posix()
    assert any(sentence.startswith(f"{name} has changed: its SHA-256 is not the one that") for sentence in found.wrong)


def test_what_the_portal_had_lost_already_is_inconclusive(evident, tree):
    forger = Forger(tree)
    shutil.rmtree(tree / "snapshots")
    gone = Absent(f"snapshots/run-{evident.runs[2]}", "it had gone from the portal's disk.")
    forger.write(absent=(gone,))
    found = judged(tree, forger.key.public.fingerprint)
    assert f"{gone.name} is not part of the evidence: it had gone from the portal's disk." in found.unjudged
    assert not [sentence for sentence in found.wrong if "snapshots" in sentence]


def test_who_knows_an_older_key_can_follow_the_chain_to_the_one_of_today(evident, tree):
    assert judged(tree, evident.first_fingerprint).verdict == "passed"


def test_what_is_no_index_of_ours_is_named_in_one_sentence(evident, tree):
    index = json.loads((tree / INDEX).read_text())
    for broken in (
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"schema": "wartest.evidence/2"}',
        json.dumps(index, indent=1).encode(),
        rfc8785.dumps(index | {"links": [1]}),
        rfc8785.dumps(index | {"keys": ["none"]}),
        rfc8785.dumps(index | {"seal": None}),
        rfc8785.dumps(index)[:-1] + b',"made_at":"2020"}',
    ):
        (tree / INDEX).write_bytes(broken)
        found = judged(tree, evident.fingerprint)
        assert found.verdict == "failed"
        (sentence,) = found.wrong
        assert sentence.startswith("evidence.json has changed: ")


@pytest.mark.parametrize(
    "content",
    ['{"a": 1, "a": 2}', '{"n": 12345678901234567890}', '{"n": NaN}', '{"n": 1e999}', '{"n": "\\ud800"}', "[" * 9999],
)
def test_a_report_that_has_no_one_meaning_never_passes(evident, tree, content):
    forger = Forger(tree)
    name = named(tree, "reports/72-hour-test-")
    (tree / name).write_text(content)
    forger.write()
    found = judged(tree, forger.key.public.fingerprint)
    assert any(sentence.startswith(name) for sentence in found.wrong)


def test_what_cannot_be_looked_at_in_time_is_inconclusive(evident):
    found = judged(evident.zip, evident.fingerprint, until=0.0)
    assert found.verdict == "inconclusive"
    assert found.unjudged == ["The time limit was over before everything was looked at."]


def test_a_key_that_was_taken_out_of_the_list_is_missed_and_the_list_has_changed(evident, tree):
    index = json.loads((tree / INDEX).read_text())
    (tree / INDEX).write_bytes(rfc8785.dumps(index | {"keys": []}))
    found = judged(tree, evident.fingerprint)
    assert f"The key {evident.fingerprint} that signed evidence.json is not here: give it by --key." in found.unjudged
    assert found.wrong == ["evidence.json has changed: its content does not have the hash that was sealed."]


def test_a_key_that_was_changed_in_the_list_is_no_lesser_change(evident, tree):
    index = json.loads((tree / INDEX).read_text())
    other = SigningKey(Ed25519PrivateKey.generate()).public.pem
    keys = [other if public_key(pem).fingerprint == evident.fingerprint else pem for pem in index["keys"]]
    assert keys != index["keys"]
    (tree / INDEX).write_bytes(rfc8785.dumps(index | {"keys": keys}))
    found = judged(tree, evident.fingerprint)
    assert found.verdict == "failed"
    assert found.wrong == ["evidence.json has changed: its content does not have the hash that was sealed."]


def test_the_folder_of_reports_passes_with_what_the_portal_keeps_beside_it(evident):
    known = {"home": StateFolder(evident.home)}
    found = judged(evident.reports, evident.fingerprint, **known)
    assert (found.verdict, found.wrong, found.unjudged) == ("passed", [], [])
    assert (found.counts["reports"], found.counts["snapshots"]) == (7, 1)
    alone = judged(evident.reports, evident.fingerprint)
    assert alone.verdict == "inconclusive"
    assert any(
        f"snapshots/run-{evident.runs[2]}/manifest.json is not here, though" in sentence for sentence in alone.unjudged
    )


@pytest.fixture
def folder(evident, tmp_path):
    return shutil.copytree(evident.reports, tmp_path / "reports")


def test_a_folder_of_reports_names_what_was_changed_removed_and_added(evident, folder, tmp_path):
    home = shutil.copytree(evident.home, tmp_path / "state")
    (changed,), (removed,) = folder.glob("chaos-test-*"), folder.glob("phase-7-success-*")
    changed.write_bytes(changed_digit(changed.read_bytes()))
    removed.unlink()
    body = sealed({"schema": "wartest.report/1", "kind": "72-hour-test", "campaign": 1}, previous=None, key=None)
    (folder / "added.json").write_text(json.dumps(body))
    (folder / "note.txt").write_text("not evidence")
    path = home / named(home, "snapshots/run-N/orders")
    path.write_bytes(path.read_bytes()[:-1])
    found = judged(folder, evident.fingerprint, home=StateFolder(home))
    assert f"{changed.name} has changed: its SHA-256 is not the one in evidence.json." in found.wrong
    assert f"{removed.name} is missing: it was removed." in found.wrong
    assert "added.json was added: it is not in this portal's chain of reports." in found.wrong
    assert any("/orders.parquet has changed" in sentence for sentence in found.wrong)
    assert "1 other files here are no part of the evidence." in found.notes


def test_an_audit_from_a_terminal_stands_outside_of_the_chain(evident, folder):
    body = {"schema": "wartest.report/1", "kind": "manual-audit", "campaign": None, "run": None, "verdict": "passed"}
    (folder / "alone.json").write_text(json.dumps(sealed(body, previous=None, key=None)))
    found = judged(folder, evident.fingerprint, home=StateFolder(evident.home))
    assert found.verdict == "passed"
    assert "alone.json was made from a terminal: it stands outside of the chain, unsigned." in found.notes
    (folder / "alone.json").write_text(json.dumps(sealed(body, previous=None, key=None) | {"verdict": "failed"}))
    found = judged(folder, evident.fingerprint, home=StateFolder(evident.home))
    assert found.wrong == ["alone.json has changed: its content does not have the hash in its seal."]


@pytest.mark.parametrize("field", ["sha256", "previous", "signed_by", "signature"])
@pytest.mark.parametrize("odd", [[], {}, 7, True])
def test_a_seal_of_anything_but_texts_is_none(evident, folder, field, odd):
    body = {"schema": "wartest.report/1", "kind": "manual-audit", "campaign": None, "run": None, "verdict": "passed"}
    body = sealed(body, previous=None, key=None)
    body["seal"][field] = odd
    (folder / "alone.json").write_text(json.dumps(body))
    assert judged(folder, evident.fingerprint).wrong == ["alone.json has no seal."]
    (folder / INDEX).unlink()
    assert judged(folder, evident.fingerprint).wrong == ["alone.json has no seal."]


@pytest.mark.parametrize(
    "named_so",
    [
        {"snapshot": {"manifest_sha256": "0" * 64, "bytes": "many"}},
        {"snapshot": 7},
        {"evidence": [{"file": [], "sha256": {}}]},
        {"reports": [{"sha256": []}]},
    ],
)
def test_a_report_that_names_its_files_oddly_is_named(evident, tree, named_so):
    forger = Forger(tree)
    name = named(tree, "reports/manual-audit-")
    forger.write(links=forger.sign_again(name, **named_so))
    found = judged(tree, forger.key.public.fingerprint)
    assert f"{name} names its files in a way that cannot be read." in found.wrong


def test_reports_without_an_index_are_judged_one_by_one(evident, folder):
    (folder / INDEX).unlink()
    index = read_index(b"".join(open_place(evident.zip).chunks(INDEX)))
    found = judged(folder, keys=index.keys)
    assert (found.verdict, found.wrong) == ("inconclusive", [])
    path = next(folder.glob("72-hour-test-*"))
    body = json.loads(path.read_text())
    body["seal"]["previous"] = "0" * 64
    path.write_text(json.dumps(body))
    assert judged(folder, keys=index.keys).wrong == [
        f"The signature of {path.name} is not of its hash and its place in the chain: one was changed."
    ]
    assert body_sha256(body) == body["seal"]["sha256"]
    assert asdict(index.links[0])["signature"]
