"""Bookkeepers' tools on the same books: one account's balance events as a journal, two postings an entry.

They check that entries balance and that stated balances hold, which is checks 1 to 3 of ours: with an assertion at
every 500th entry (beancount, which states balances by the day) or at each (hledger), without any tolerance.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq

from wartest_site.benchmarks import Say
from wartest_site.embedded.children import CannotStartError

ENTRIES = 100_000
ASSERT_EVERY = 500
LIMIT_S = 600
START = date(2026, 1, 1)

Entry = tuple[date, str, Decimal, Decimal]  # day, event type, amount, balance after


def entries_per_s(name: str, snapshot: Path, folder: Path, say: Say) -> float | None:
    """Return how many entries the tool checks a second; None where it is not installed."""
    program, arguments, journal = PEERS[name]
    path = shutil.which(program) or shutil.which(program, path=str(Path(sys.executable).parent))
    if path is None:
        say(f"{program} is not installed, so it is left out")
        return None
    entries = list(_entries(snapshot))
    file = folder / f"journal.{name}"
    file.write_text("\n".join(journal(entries)) + "\n")
    began = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - argv is ours
        [path, *(argument.format(file=file) for argument in arguments)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    took_s = time.perf_counter() - began
    if done.returncode:
        raise CannotStartError(f"{program} found the books of the benchmark wrong: {done.stderr[:300]}")
    say(f"{program} checked {len(entries):,} entries in {took_s:.2f} s")
    return round(len(entries) / took_s)


def _entries(snapshot: Path) -> Iterator[Entry]:
    columns = ["account_id", "sequence", "event_type", "amount", "balance_after"]
    found = pq.read_table(
        snapshot / "balance_events.parquet", columns=columns, filters=[("account_id", "==", "101-001-9000001-001")]
    )
    found = found.sort_by("sequence").slice(0, ENTRIES)
    rows = zip(*(found[name].to_pylist() for name in columns[2:]), strict=True)
    for number, (kind, amount, after) in enumerate(rows):
        yield START + timedelta(days=number // ASSERT_EVERY), kind, amount, after


def _beancount(entries: list[Entry]) -> Iterator[str]:
    yield 'option "inferred_tolerance_default" "*:0"'
    yield f"{START} open Assets:Broker USD"
    for account in sorted({kind for _, kind, _, _ in entries}):
        yield f"{START} open Income:{_words(account)} USD"
    for index, (day, kind, amount, after) in enumerate(entries, start=1):
        yield f'{day} * "{kind}"\n  Assets:Broker {amount:.4f} USD\n  Income:{_words(kind)} {-amount:.4f} USD'
        if index % ASSERT_EVERY == 0:
            yield f"{day + timedelta(days=1)} balance Assets:Broker {after:.4f} ~ 0 USD"


def _hledger(entries: list[Entry]) -> Iterator[str]:
    for day, kind, amount, after in entries:
        yield f"{day} {kind}\n  assets:broker  {amount:.4f} USD = {after:.4f} USD\n  income:{_words(kind)}"


def _words(kind: str) -> str:
    return kind.title().replace("_", "")


PEERS: dict[str, tuple[str, tuple[str, ...], Callable[[list[Entry]], Iterator[str]]]] = {
    "beancount": ("bean-check", ("--no-cache", "{file}"), _beancount),
    "hledger": ("hledger", ("check", "-f", "{file}"), _hledger),
}
