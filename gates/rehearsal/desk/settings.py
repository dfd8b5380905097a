"""What the desk is told at its start: secrets by environment, the rest by the command line."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

REQUIRED = ("DATABASE_URL", "OANDA_URL", "OANDA_TOKEN", "OANDA_ACCOUNT_ID")


@dataclass(frozen=True)
class Settings:
    """All the desk's settings."""

    port: int
    database_url: str
    broker_url: str
    broker_token: str
    account_id: str
    trading: bool
    trade_every_s: float
    stop_pips: Decimal
    take_profit_pips: Decimal
    reconcile_every_s: float
    poll_every_s: float
    max_open: int
    most_units: int
    parked: bool
    defects: tuple[str, ...] = ()
    build: str = ""


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Reads both. Exits with status 2 and one sentence when something is missing or wrong."""
    parser = argparse.ArgumentParser(prog="python -m gates.rehearsal.desk", description="The rehearsal desk.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--trade-every-s", type=_positive, default=2.0)
    parser.add_argument("--no-trading", action="store_true")
    parser.add_argument("--stop-pips", type=_positive_decimal, default=Decimal(4))
    parser.add_argument("--take-profit-pips", type=_positive_decimal, default=Decimal(4))
    parser.add_argument("--reconcile-every-s", type=_positive, default=10.0)
    parser.add_argument("--poll-every-s", type=_positive, default=0.2)
    parser.add_argument("--max-open", type=int, default=6)
    parser.add_argument("--most-units", type=int, default=2000, help="the largest position that it opens by itself")
    parser.add_argument("--parked", action="store_true", help="does not trade until it is told to by POST /trading")
    parser.add_argument("--defect", action="append", default=[], help="plant this defect of the catalogue")
    parser.add_argument("--build", default="", help="be this build: the clean desk, or that with a defect")
    given = parser.parse_args(arguments)
    missing = [name for name in REQUIRED if not environment.get(name)]
    if missing:
        parser.error(f"set {', '.join(missing)} in the environment")
    return Settings(
        port=given.port,
        database_url=environment["DATABASE_URL"],
        broker_url=environment["OANDA_URL"],
        broker_token=environment["OANDA_TOKEN"],
        account_id=environment["OANDA_ACCOUNT_ID"],
        trading=not given.no_trading,
        trade_every_s=given.trade_every_s,
        stop_pips=given.stop_pips,
        take_profit_pips=given.take_profit_pips,
        reconcile_every_s=given.reconcile_every_s,
        poll_every_s=given.poll_every_s,
        max_open=given.max_open,
        most_units=given.most_units,
        parked=given.parked,
        defects=tuple(given.defect),
        build=given.build,
    )


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < 86_400:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 86400")
    return number


def _positive_decimal(text: str) -> Decimal:
    return Decimal(str(_positive(text)))
