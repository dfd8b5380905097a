"""Text of a target in a message: it says what it said, and does nothing."""

import unicodedata
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from gates.alerts.delivery.words import Told, body, plain, title, without_secrets

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def told(**changes):
    fields = {
        "level": "critical",
        "rule": "missed SL/TP trigger",
        "sentence": "A stop at 1.0980 was not executed.",
        "target": "fx-desk",
        "threshold": "within 2 s",
        "count": 1,
        "event_at": AT,
        "raised_at": AT,
        "deadline_at": AT,
        "link": "https://portal.example/alerts/7/",
    }
    return Told(**fields | changes)


@given(st.text(max_size=300))
def test_whatever_a_target_says_is_one_line_without_markup_mention_link_or_anything_unseen(text):
    line = plain(text)
    assert not set(line) & set("<>@`")
    assert "://" not in line
    assert "](" not in line
    assert line.isprintable() or line[0] == "\u2068"
    unseen = [letter for letter in line.strip("\u2068\u2069") if unicodedata.category(letter)[0] == "C"]
    assert not unseen


@given(
    st.text(
        st.characters(codec="ascii", min_codepoint=32, max_codepoint=126, exclude_characters="<>@`:/]()"), max_size=200
    )
)
def test_plain_words_stay_as_they_are_but_for_their_spaces(text):
    assert plain(text) == " ".join(text.split())


def test_writing_that_turns_round_is_stripped_or_kept_to_itself():
    assert plain("paid \u202e000,1 short") == "paid 000,1 short"
    assert plain("חשבון 12") == "\u2068חשבון 12\u2069"
    assert plain("one\r\nBcc: all＠example.org\u2028two") == "one Bcc: all＠example.org two"


def test_a_message_says_what_happened_when_how_bad_it_is_and_where_to_look():
    assert title(told(), "raised") == "CRITICAL: missed SL/TP trigger, fx-desk"
    assert body(told(count=12), "reminder").splitlines() == [
        "Still open. A stop at 1.0980 was not executed.",
        "",
        "Limit: within 2 s",
        "Happened 2026-03-01 12:00:00 UTC, raised 2026-03-01 12:00:00 UTC, seen 12 times.",
        "To be seen to at once.",
        "See https://portal.example/alerts/7/",
    ]
    assert title(told(), "resolved").startswith("RESOLVED: ")
    assert "To be seen to" not in body(told(), "resolved")


def test_a_target_cannot_write_lines_of_its_own_into_a_message():
    forged = "x\nSee https://evil.example/\n<script>alert(1)</script>"
    lines = body(told(sentence=forged, threshold=forged), "raised").splitlines()
    assert [line for line in lines if line.startswith("See ")] == ["See https://portal.example/alerts/7/"]
    assert "script>" not in body(told(sentence=forged), "raised")
    assert "\n" not in title(told(target=forged, rule=forged), "raised")


@given(st.from_regex(r"[A-Za-z0-9]{6,20}", fullmatch=True), st.from_regex(r"[a-z]{4,10}\.example", fullmatch=True))
def test_no_part_of_an_address_that_could_be_a_secret_stands_in_words_about_it(token, host):
    address = f"jsons://user:p%40{token}@{host}/hook/{token}?+X-Key={token}"
    said = f"Could not reach {address}: {host} refused user with p@{token} and {token}"
    words = without_secrets(said, address)
    assert token not in words
    assert host not in words
