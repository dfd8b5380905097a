import json
import shutil

import pytest
from django.core.management import call_command

from gates import reports
from gates.evidence import rotating
from gates.evidence.keys import SigningKeyError, key_in_use
from gates.evidence.places import StateFolder, open_place
from gates.evidence.rotating import CannotRotateError, rotate_key
from gates.evidence.signing import portal_key
from gates.evidence.verifying import Known, verify
from gates.models import Report
from tests.gates.test_engine import LATER
from tests.gates.test_reports import closed_run

pytestmark = pytest.mark.django_db


def judged(home, *fingerprints):
    return verify(open_place(home.parent / "reports"), Known(frozenset(fingerprints), home=StateFolder(home)))


def test_a_rotation_is_a_link_that_the_old_key_signs_and_both_are_known(home):
    reports.write(closed_run().pk, LATER)
    old = portal_key().public.fingerprint
    rotation = rotate_key("Yearly.", lost=False, now=LATER)
    new = portal_key().public.fingerprint
    after = reports.write(closed_run().pk, LATER)
    assert old != new
    assert (rotation.signed_by or rotation.content["seal"]["signed_by"], after.content["seal"]["signed_by"]) == (
        old,
        new,
    )
    record = json.loads((home.parent / "reports" / rotation.file_name).read_text())
    assert (record["from"]["fingerprint"], record["to"]["fingerprint"], record["reason"]) == (old, new, "Yearly.")
    for anchor in (old, new):
        assert judged(home, anchor).verdict == "passed"


def test_a_crash_between_the_record_and_the_renaming_is_finished_when_the_key_is_next_used(home, monkeypatch):
    reports.write(closed_run().pk, LATER)
    with monkeypatch.context() as patch:
        patch.setattr(rotating, "take_next", lambda home: None)
        rotation = rotate_key("Yearly.", lost=False, now=LATER)
    assert portal_key().public.fingerprint == rotation.content["to"]["fingerprint"]
    assert not (home / "keys" / "next-key.pem").exists()


def test_a_lost_key_is_replaced_only_when_that_is_said_and_the_chain_says_so_too(home):
    reports.write(closed_run().pk, LATER)
    old = portal_key().public.fingerprint
    (home / "keys" / "signing-key.pem").unlink()
    with pytest.raises(SigningKeyError, match="is missing"):
        rotate_key("Gone.", lost=False, now=LATER)
    rotate_key("The disk died.", lost=True, now=LATER)
    new = portal_key().public.fingerprint
    assert judged(home, new).verdict == "passed"
    followed = judged(home, old)
    assert followed.verdict == "failed", "nothing leads from a lost key to whoever says to be its successor"


def test_keys_that_all_went_leave_older_signatures_unjudged(home):
    reports.write(closed_run().pk, LATER)
    shutil.rmtree(home / "keys")
    rotate_key("All of it went.", lost=True, now=LATER)
    found = judged(home, portal_key().public.fingerprint)
    assert (found.verdict, found.wrong) == ("inconclusive", [])
    assert "is not here: give it by --key." in found.unjudged[0]


def test_a_key_that_is_here_is_not_lost(home):
    reports.write(closed_run().pk, LATER)
    before = portal_key().public.fingerprint
    with pytest.raises(CannotRotateError, match="rotate without --lost"):
        rotate_key("Lost?", lost=True, now=LATER)
    assert portal_key().public.fingerprint == before
    assert Report.objects.count() == 1


def test_another_key_laid_in_its_place_is_refused(home):
    reports.write(closed_run().pk, LATER)
    (home / "keys" / "signing-key.pem").unlink()
    key_in_use(home, None)
    with pytest.raises(SigningKeyError, match="this portal's reports are signed with"):
        reports.write(closed_run().pk, LATER)


def test_the_command_says_what_to_do_next(home, capsys):
    for reason, words in ((" ", "--reason must say why"), ("Yearly.", "Nothing is signed yet")):
        with pytest.raises(SystemExit) as ended:
            call_command("rotate_key", "--reason", reason)
        assert ended.value.code == 2
        assert words in capsys.readouterr().err
    reports.write(closed_run().pk, LATER)
    call_command("rotate_key", "--reason", "Yearly.")
    assert portal_key().public.fingerprint in capsys.readouterr().out
