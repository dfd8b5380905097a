"""Live or practice: description, host and the account's own answers have to agree, and only the rehearsal may pose."""

import pytest

from gates.live_capital.environments import (
    LIVE,
    PRACTICE,
    SIMULATED,
    Place,
    WrongEnvironmentError,
    demand_account,
    demand_place,
)
from gates.live_capital.reaching import live_access, live_spec, stop_command
from gates.targets.access import REHEARSAL_SPEC, TargetUnreachableError

REAL, DEMO = "https://api-fxtrade.oanda.com", "https://api-fxpractice.oanda.com"
LIVE_ID, PRACTICE_ID = "001-001-1234567-001", "101-001-1234567-001"
LOOPBACK = "http://127.0.0.1:8080"


def place(declared=LIVE, url=REAL, account_id=LIVE_ID, *, is_rehearsal=False):
    return Place(declared, url, account_id, is_rehearsal)


def test_a_live_account_at_the_live_host_is_live():
    demand_place(place())
    demand_account(place(), LIVE_ID, [LIVE_ID])
    demand_place(place(PRACTICE, DEMO, PRACTICE_ID))
    demand_account(place(PRACTICE, DEMO, PRACTICE_ID), PRACTICE_ID, [PRACTICE_ID])


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (place(LIVE, DEMO), "says live, and api-fxpractice.oanda.com is the practice host"),
        (place(PRACTICE, REAL), "says practice, and api-fxtrade.oanda.com is the live host"),
        (place(""), 'write "live" or "practice"'),
        (place("real"), 'write "live" or "practice"'),
        (place(LIVE, LOOPBACK), "is no host of a live account"),
        (place(LIVE, "https://api-fxtrade.oanda.com.evil.example"), "is no host of a live account"),
        (place(LIVE, "http://api-fxtrade.oanda.com"), "over https only"),
        (place(LIVE, "https://api-fxtrade.oanda.com:8443"), "over https only"),
        (place(LIVE, ""), "is no host of a live account"),
        (place(SIMULATED, LOOPBACK), "Only the rehearsal target"),
        (place(SIMULATED, REAL, is_rehearsal=True), "Only the rehearsal target"),
        (place(LIVE, LOOPBACK, is_rehearsal=True), "is no host of a live account"),
    ],
)
def test_an_address_that_is_not_the_declared_one_is_refused_before_anything_is_sent(where, words):
    with pytest.raises(WrongEnvironmentError, match=words):
        demand_place(where)


@pytest.mark.parametrize(
    ("where", "answered", "readable", "words"),
    [
        (place(account_id=PRACTICE_ID), PRACTICE_ID, [PRACTICE_ID], "says live, and the token reads account 101"),
        (place(PRACTICE, DEMO), LIVE_ID, [LIVE_ID], "says practice, and the token reads account 001"),
        (place(), LIVE_ID, [LIVE_ID, PRACTICE_ID], "which is practice"),
        (place(), "001-001-7654321-001", [LIVE_ID], "answers for account 001-001-7654321-001"),
        (place(), LIVE_ID, [], "answers for account"),
        (place(account_id="7-1"), "7-1", ["7-1"], "does not say whether it is live or practice"),
    ],
)
def test_an_account_that_answers_as_another_kind_is_refused(where, answered, readable, words):
    with pytest.raises(WrongEnvironmentError, match=words):
        demand_account(where, answered, readable)


def test_the_simulator_may_pose_as_live_for_the_rehearsal_target_and_says_so():
    where = place(SIMULATED, LOOPBACK, is_rehearsal=True)
    demand_place(where)
    demand_account(where, LIVE_ID, [PRACTICE_ID, LIVE_ID])
    with pytest.raises(WrongEnvironmentError, match="says live"):
        demand_account(place(SIMULATED, LOOPBACK, PRACTICE_ID, is_rehearsal=True), PRACTICE_ID, [PRACTICE_ID])


def test_a_target_of_somebodys_own_cannot_call_itself_a_simulator():
    spec = {
        "ledger": {"url": "postgresql://x", "schema": "s"},
        "broker": {"url": LOOPBACK, "account": LIVE_ID, "token": "t", "environment": SIMULATED},
        "process": {"health": "http://127.0.0.1:1/health"},
    }
    with pytest.raises(WrongEnvironmentError, match="Only the rehearsal target"):
        live_access(spec)


def test_gate_4_uses_what_the_description_says_of_live_and_else_what_it_said_before():
    spec = {
        "ledger": {"url": "env:LEDGER_URL", "schema": "wartest"},
        "broker": {"environment": PRACTICE, "url": DEMO, "token": "env:OANDA_API_KEY"},
        "live": {"broker": {"environment": LIVE, "url": REAL, "token": "env:OANDA_LIVE_API_KEY"}},
    }
    live = live_spec(spec)
    assert live["broker"] == spec["live"]["broker"]
    assert live["ledger"] == spec["ledger"]


def test_a_stop_command_is_a_list_of_words_and_never_a_line_for_a_shell():
    assert stop_command({}) == ()
    words = ["systemctl", "stop", "fx-desk"]
    assert stop_command({"live": {"process": {"stop": words}}}) == tuple(words)
    for wrong in ("systemctl stop fx-desk", [], [""], ["x"] * 51, [1]):
        with pytest.raises(TargetUnreachableError, match="stop"):
            stop_command({"process": {"stop": wrong}})


def test_the_rehearsals_own_description_names_the_simulator_as_what_it_is():
    assert live_spec(REHEARSAL_SPEC)["broker"]["environment"] == SIMULATED
