"""`rehearse_alerts` passes only when nothing is said against any of what it provoked."""

import pytest
from django.core.management.base import CommandError

from gates.alerts.provoking.provocations import PROVOCATIONS
from wartest_site.alert_rehearsal import LIMIT_MS, Followed, Outcome
from wartest_site.alert_rehearsal_words import heard, summary, told
from wartest_site.management.commands.rehearse_alerts import chosen_of, exit_code

WELL = {"raised_ms": 12.0, "web_ms": 80.0, "mail_ms": 90.0, "listed": True, "recheck": "It is clean.", "alerts": 1}


def followed(**more):
    return Followed("slow queries", "medium", "a lock is held", **(WELL | more))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"raised_ms": None, "web_ms": None, "mail_ms": None}, "it was not raised"),
        ({"listed": False}, "it was not on the inbox"),
        ({"web_ms": None}, "no message came to the web receiver"),
        ({"mail_ms": LIMIT_MS + 1.0}, "the mail receiver had its message after 5001 of 5000 ms"),
        ({"recheck": ""}, "no clean look resolved it"),
        ({"troubles": ["resolved while its cause lasted"]}, "resolved while its cause lasted"),
    ],
)
def test_whatever_is_missing_is_said_and_fails_it(more, said):
    row = followed(**more)
    assert row.said_against == [said]
    assert (row.outcome, exit_code([followed(), row])) == (Outcome.FAILED, 1)
    assert told(row)["troubles"] == [said]


def test_it_passes_when_nothing_is_said_against_any_and_shows_nothing_where_nothing_was_provoked():
    silent = Followed("slow queries", "medium", "a lock is held", troubles=["no rest"], not_provoked=True)
    assert [exit_code(rows) for rows in ([followed()], [followed(), silent], [])] == [0, 3, 3]
    assert summary([followed(), silent]) == (
        "2 rules: 1 passed, 1 not provoked; the slowest message was there after 90 of 5000 ms."
    )


def test_a_line_says_when_it_was_known_where():
    assert heard(followed(sentence="It waits.", mail_ms=6000.0)) == (
        "medium   slow queries                   raised 12 ms, web 80 ms, mail 6000 ms (LATE), on the inbox: It waits."
    )


def test_rules_are_chosen_by_name_and_an_unknown_one_is_refused_with_those_there_are():
    assert chosen_of([]) == PROVOCATIONS
    (chosen,) = chosen_of(["slow queries"])
    assert list(chosen.raises) == ["slow queries"]
    with pytest.raises(CommandError, match="No rule is named 'slow': use missed SL/TP trigger, "):
        chosen_of(["slow"])
