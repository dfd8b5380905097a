"""The desk's books, audited by all eighteen checks while it trades and after: nothing is ever found."""

import random
import shutil

from audits.checks import CHECKS
from audits.judge import judge
from audits.snapshot import take_snapshot
from audits.sources.oanda import OandaReader
from audits.sources.postgres import PostgresLedger

from .processes import TOKEN, running_broker, running_desk, wait_until
from .transactions import ACCOUNT

FAST = ("--trade-every-s", "0.1", "--stop-pips", "2", "--take-profit-pips", "2", "--reconcile-every-s", "0.5")
LIVELY = ("--tick-ms", "50", "--volatility-pips", "1.0", "--seed", "11")
OPERATIONS = ("open", "open", "close", "partial_fill", "margin_update", "reconcile", "replay")
AUDITS = 5


def audited(url, broker, folder):
    """The outcome and the first sentence of each check that did not pass."""
    with OandaReader(broker.url, ACCOUNT, TOKEN) as reader:
        take_snapshot(PostgresLedger(url), reader, folder, with_prices=True)
    results = judge(folder).results
    shutil.rmtree(folder)
    assert [result.name for result in results] == [check.name for check in CHECKS]
    return {
        result.name: (result.outcome, result.reason, [finding.sentence for finding in result.findings[:3]])
        for result in results
        if result.outcome != "passed"
    }


def test_a_desk_that_trades_is_never_accused_and_audits_clean_when_it_rests(desk_database_url, tmp_path):
    dice = random.Random(3)
    with running_broker(*LIVELY, "--commission-per-million", "30") as broker:
        with running_desk(desk_database_url, broker.url, *FAST) as desk:
            wait_until(desk.is_well, what="the desk is well")
            desk.ask("open", key="first")
            for number in range(AUDITS):
                for _ in range(6):
                    units = str(dice.randint(1, 3000) * dice.choice((1, -1)))
                    desk.ask(dice.choice(OPERATIONS), **({"units": units} if dice.random() < 0.5 else {}))
                assert audited(desk_database_url, broker, tmp_path / f"live {number}") == {}
            assert desk.is_well()
        with running_desk(desk_database_url, broker.url, "--no-trading") as desk:
            wait_until(desk.is_well, what="the desk is well again")
            assert audited(desk_database_url, broker, tmp_path / "rested") == {}
