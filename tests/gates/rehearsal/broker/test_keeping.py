"""An account that is kept can be gone back to, as often as wanted, and the journal goes along."""

from decimal import Decimal

from gates.rehearsal.broker.asks import Ask
from gates.rehearsal.broker.door import utc_now
from gates.rehearsal.broker.feed import Feed
from gates.rehearsal.broker.journal import Journal
from gates.rehearsal.broker.pulse import Pulse
from gates.rehearsal.broker.venue import Venue

ORDER = {"type": "MARKET", "instrument": "EUR_USD", "units": "1000", "stopLossOnFill": {"price": "1.09000"}}


def bought(broker, account):
    answer = broker.v3.post(f"/accounts/{account}/orders", json={"order": ORDER})
    assert answer.status_code == 201, answer.text


def seen(broker, account):
    answer = broker.v3.get(f"/accounts/{account}").json()
    return {name: answer["account"][name] for name in ("balance", "openTradeCount", "trades", "lastTransactionID")}


def test_an_account_goes_back_to_what_was_kept_of_it_again_and_again(broker):
    account = broker.fresh_account()
    bought(broker, account)
    assert broker.control.post(f"/accounts/{account}/keep").status_code == 200
    kept = seen(broker, account)
    assert kept["openTradeCount"] == 1
    for _ in range(2):
        bought(broker, account)
        broker.v3.put(f"/accounts/{account}/trades/{kept['trades'][0]['id']}/close")
        assert seen(broker, account) != kept
        assert broker.control.post(f"/accounts/{account}/return").status_code == 200
        assert seen(broker, account) == kept


def test_going_back_touches_no_other_account(broker):
    account, other = broker.fresh_account(), broker.fresh_account()
    broker.control.post(f"/accounts/{account}/keep")
    bought(broker, other)
    before = seen(broker, other)
    broker.control.post(f"/accounts/{account}/return")
    assert seen(broker, other) == before


def test_an_account_of_which_nothing_was_kept_and_an_unknown_one_are_refused_in_words(broker):
    answer = broker.control.post(f"/accounts/{broker.fresh_account()}/return")
    assert (answer.status_code, "keep first" in answer.json()["errorMessage"]) == (409, True)
    assert broker.control.post("/accounts/unknown/keep").status_code == 403


def test_one_fault_is_disarmed_without_the_others(broker):
    first, second = (broker.control.post("/faults", json={"kind": "late"}).json()["id"] for _ in range(2))
    assert broker.control.delete(f"/faults/{first}").json()["struck"] == 0
    assert [fault["id"] for fault in broker.control.get("/faults").json()["faults"]] == [second]
    assert broker.control.delete(f"/faults/{first}").status_code == 404


def test_a_broker_started_on_its_journal_again_has_gone_back_too(tmp_path):
    def started():
        pulse = Pulse(Venue(journal=Journal(tmp_path)), Feed(1, 1.0), 250, running=False)
        pulse.open_market()
        return pulse.venue

    venue = started()
    venue.open_account("a", "USD", Decimal(1000), utc_now())
    venue.keep_account("a", utc_now())
    venue.carry_out("a", Ask("order", "", ORDER | {"units": "10"}), utc_now())
    assert venue.accounts["a"].open
    venue.return_account("a", utc_now())
    after = venue.accounts["a"]
    venue.journal._file.close()  # as the kernel does for a killed broker
    again = started().accounts["a"]
    assert not after.open
    assert (again.balance, again.last_id, again.open) == (after.balance, after.last_id, after.open)
