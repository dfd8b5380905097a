"""Zips that play tricks are refused in one sentence, before a byte of them is unpacked."""

import os
import stat
import struct
import warnings
import zipfile

import pytest

from gates.evidence import places
from gates.evidence.places import NoEvidenceError, StateFolder, open_place


def a_zip(path, *entries, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of doubles
        for entry, content in entries:
            packed.writestr(entry, content, **options)
    return path


def link(name):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([("../evidence.json", "{}")], "leads out of its folder"),
        ([("a/../../x", "{}")], "leads out of its folder"),
        ([("/etc/passwd", "x")], "leads out of its folder"),
        ([("C:/x", "x")], "leads out of its folder"),
        ([("a//b", "x")], "leads out of its folder"),
        ([("a/./b", "x")], "leads out of its folder"),
        ([("a\tb", "x")], "hidden characters"),
        ([("a\u202eb", "x")], "hidden characters"),
        ([(link("reports/x.json"), "/etc/passwd")], "is a link or a device"),
        ([("x.json", "1"), ("x.json", "2")], "twice"),
        ([("x.json", "1"), ("X.json", "2")], "twice"),
        ([("bomb.json", b"\0" * 30_000_000)], "unpacks to more than 200 times its size"),
    ],
)
def test_tricks_are_refused_and_named(tmp_path, entries, words):
    with pytest.raises(NoEvidenceError, match=words) as refused:
        open_place(a_zip(tmp_path / "x.zip", *entries))
    assert "\n" not in str(refused.value)


def test_a_backslash_leads_out_too(tmp_path):
    path = a_zip(tmp_path / "x.zip", ("a/b.json", "x"))
    path.write_bytes(path.read_bytes().replace(b"a/b.json", rb"a\b.json"))
    with pytest.raises(NoEvidenceError, match="leads out of its folder"):
        open_place(path)


def test_too_many_files_and_too_many_bytes_are_refused(tmp_path, monkeypatch):
    path = a_zip(tmp_path / "x.zip", *((f"{number}.json", "x") for number in range(12)))
    monkeypatch.setattr(places, "MOST_FILES", 11)
    with pytest.raises(NoEvidenceError, match="more than 11 files"):
        open_place(path)
    monkeypatch.setattr(places, "MOST_FILES", 12)
    monkeypatch.setattr(places, "MOST_BYTES", 11)
    with pytest.raises(NoEvidenceError, match="more than 64 GiB"):
        open_place(path)


def test_a_size_that_lies_gives_no_more_than_it_says(tmp_path):
    path = a_zip(tmp_path / "x.zip", ("bomb.json", b"\0" * 3_000_000), ("evidence.json", "{}"))
    content = bytearray(path.read_bytes())
    where = content.index(b"PK\x01\x02")
    content[where + 24 : where + 28] = struct.pack("<I", 1000)
    path.write_bytes(content)
    place = open_place(path)
    with pytest.raises(places.FileUnreadableError):
        assert len(b"".join(place.chunks("bomb.json"))) <= 1000


def test_an_encrypted_file_is_refused(tmp_path):
    path = a_zip(tmp_path / "x.zip", ("a.json", "x"))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(NoEvidenceError, match="encrypted"):
        open_place(path)


def test_files_that_overlap_in_the_zip_cannot_be_unpacked(tmp_path):
    path = a_zip(tmp_path / "x.zip", ("a.json", os.urandom(5000)), ("b.json", os.urandom(10)))
    content = bytearray(path.read_bytes())
    second = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 4)
    content[second + 42 : second + 46] = struct.pack("<I", 0)
    path.write_bytes(content)
    with pytest.raises(places.FileUnreadableError):
        b"".join(open_place(path).chunks("b.json"))


@pytest.mark.parametrize("kept", [0, 10, 0.3, 0.9, 0.999])
def test_a_zip_that_was_cut_short_is_refused(tmp_path, kept):
    path = a_zip(tmp_path / "x.zip", ("evidence.json", os.urandom(4000)), ("b.json", os.urandom(4000)))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept > 1 else kept * len(content))])
    with pytest.raises(NoEvidenceError, match="download it again"):
        open_place(path)


def test_a_path_that_is_not_there_says_what_to_name(tmp_path):
    with pytest.raises(NoEvidenceError, match="name a folder of reports, or a downloaded zip"):
        open_place(tmp_path / "nothing")


def test_a_state_folder_serves_snapshots_and_kept_files_and_nothing_else(tmp_path):
    for name in ("keys/signing-key.pem", "snapshots/run-1/manifest.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "snapshots/run-1/link").symlink_to(tmp_path / "keys/signing-key.pem")
    state = StateFolder(tmp_path)
    assert state.holds("snapshots/run-1/manifest.json")
    for name in ("keys/signing-key.pem", "snapshots/../keys/signing-key.pem", "snapshots/run-1/link", "snapshots"):
        assert not state.holds(name)
