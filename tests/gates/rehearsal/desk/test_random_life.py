"""A desk lives through random operations, prices, transfers and cuts for a bounded time; its books audit clean."""

import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx

from audits.checks import CHECKS
from audits.checks.reconciliation import reconciliations
from audits.judge import judge
from audits.snapshot import take_snapshot
from audits.sources.oanda import OandaReader
from audits.sources.postgres import PostgresLedger

from .processes import TOKEN, BrokerProcess, DeskProcess, running_broker, running_desk, wait_until
from .transactions import ACCOUNT

LIFE_S = 12.0  # of operations; starts and audits come on top
MOST = 4000  # operations, should a machine be so fast
CUTS = 2
AT_ONCE = 4
STILL = (
    "--no-trading",
    "--stop-pips",
    "15",
    "--take-profit-pips",
    "15",
    "--reconcile-every-s",
    "1",
    "--max-open",
    "40",
)
OPERATIONS = ("open",) * 6 + ("close",) * 3 + ("partial_fill",) * 4 + ("margin_update", "reconcile", "replay")
PRICES = {"EUR_USD": (1.1, 5), "GBP_USD": (1.27, 5), "USD_JPY": (150.0, 3)}
# How long a reconciliation takes on a busy machine is not what this test is about.
JUDGED = tuple(reconciliations(60_000) if check.name == "reconciliation" else check for check in CHECKS)


class Life:
    """One life: the dice, what was done, and the clients that stay open."""

    def __init__(self, seed: int, broker: BrokerProcess) -> None:
        self.dice = random.Random(seed)
        self.done: Counter[str] = Counter()
        headers = {"Authorization": f"Bearer {TOKEN}"}
        url = f"http://127.0.0.1:{broker.control_port}"
        self.control = httpx.Client(base_url=url, headers=headers, timeout=20, trust_env=False)
        self.price = {instrument: price for instrument, (price, _) in PRICES.items()}

    def tick(self) -> None:
        """A price moves, now and then through the stops."""
        instrument = self.dice.choice(tuple(PRICES))
        usual, digits = PRICES[instrument]
        pip = 10.0 ** (1 - digits)
        moved = self.price[instrument] + self.dice.choice((1, 2, 3, 5, 8, 20)) * self.dice.choice((1, -1)) * pip
        self.price[instrument] = min(max(moved, usual * 0.97), usual * 1.03)
        bid = f"{self.price[instrument]:.{digits}f}"
        ask = f"{float(bid) + pip:.{digits}f}"
        self.told("/ticks", {"instrument": instrument, "bid": bid, "ask": ask})

    def told(self, path: str, body: dict[str, object]) -> None:
        """Something happens at the broker."""
        self.control.post(path, json=body).raise_for_status()
        self.done[path] += 1

    def step(self, desk: DeskProcess, client: httpx.Client) -> None:
        """One operation of the desk, and sometimes something at the broker before it."""
        chance = self.dice.random()
        if chance < 0.25:
            self.tick()
        elif chance < 0.27:
            self.told("/financing", {"account_id": ACCOUNT})
        elif chance < 0.28:
            self.told("/transfers", {"account_id": ACCOUNT, "amount": str(self.dice.choice((50, -50)))})
        elif chance < 0.32:
            self.told("/liquidity", {"instrument": "EUR_USD", "units": str(self.dice.randint(0, 900))})
        operation = self.dice.choice(OPERATIONS)
        body: dict[str, str] = {}
        if operation == "open":
            units = self.dice.randint(1, 3000) * self.dice.choice((1, -1))
            body = {"units": str(units), "instrument": self.dice.choice(tuple(PRICES))}
            body["time_in_force"] = self.dice.choice(("FOK", "IOC"))
        answer = client.post(f"http://127.0.0.1:{desk.port}/operations/{operation}", json=body)
        self.done[operation if answer.status_code == 200 else f"{operation} {answer.status_code}"] += 1


def lived(life: Life, desk: DeskProcess, until: Callable[[], bool]) -> None:
    """Several hands ask at once, until it is time."""

    def hand() -> None:
        with httpx.Client(timeout=20, trust_env=False) as client:
            while not until():
                life.step(desk, client)

    with ThreadPoolExecutor(AT_ONCE) as hands:
        for done in [hands.submit(hand) for _ in range(AT_ONCE)]:
            done.result()


def cut(life: Life, desk: DeskProcess) -> None:
    """The desk is killed while it is at work."""
    with ThreadPoolExecutor(AT_ONCE) as hands, httpx.Client(timeout=20, trust_env=False) as client:

        def ask() -> None:
            with suppress(httpx.HTTPError):
                life.step(desk, client)

        for _ in range(AT_ONCE):
            hands.submit(ask)
        time.sleep(life.dice.uniform(0.0, 0.06))
        desk.process.kill()
        desk.process.wait(5)


def not_passed(url: str, broker: BrokerProcess, folder) -> dict[str, object]:
    """What each check that did not pass found."""
    with OandaReader(broker.url, ACCOUNT, TOKEN) as reader:
        take_snapshot(PostgresLedger(url), reader, folder, with_prices=True)
    return {
        result.name: (result.outcome, result.reason, [finding.sentence for finding in result.findings[:3]])
        for result in judge(folder, JUDGED).results
        if result.outcome != "passed"
    }


def test_books_audit_clean_after_random_operations_and_random_cuts(desk_database_url, tmp_path, record_property):
    seed = 20261122
    with running_broker("--no-feed", "--commission-per-million", "30") as broker:
        life = Life(seed, broker)
        for part in range(CUTS + 1):
            with running_desk(desk_database_url, broker.url, *STILL) as desk:
                wait_until(desk.is_well, what="the desk is well")
                if part:
                    assert not_passed(desk_database_url, broker, tmp_path / f"after cut {part}") == {}, f"seed {seed}"
                ends = time.monotonic() + LIFE_S / (CUTS + 1)
                lived(life, desk, lambda ends=ends: time.monotonic() > ends or life.done.total() >= MOST)
                if part < CUTS:
                    cut(life, desk)
                else:
                    assert desk.is_well()
                    assert not_passed(desk_database_url, broker, tmp_path / "at the end") == {}, f"seed {seed}"
    record_property("done", dict(life.done))
    assert set(OPERATIONS) <= set(life.done), life.done
    assert life.done["/ticks"]
