"""The full audit of a month: what was done before it began is set aside, what nobody could see is no pass, and the
books of another are not judged."""

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from audits.judge import CheckResult, judge
from audits.snapshot import SnapshotUnreadable, take_snapshot
from audits.sources.oanda import BrokerUnreachable
from audits.verdicts import Verdict
from gates.live_capital.auditing import _of_this_month, _snapshot, snapshot_folder
from gates.live_capital.plans import live_plan_for
from tests.audits.books import Books, BooksBroker, at, clean_books
from tests.audits.checks.breaks import Break, add_transaction, both, change, change_prices

MONTH = SimpleNamespace(run=SimpleNamespace(planned_start=at(33)))
OLD_STOP = change("positions", 0, close_reason="TAKE_PROFIT")
OLD_MISMATCH = change("reconciliations", 0, mismatches=1, started_at=at(30))


class NoPrices(BooksBroker):
    def candles(self, *_: Any) -> Any:
        raise BrokerUnreachable("The broker gave no candles.")


def account_never_reconciled(books: Books) -> None:
    books.rows("accounts").append(books.rows("accounts")[0] | {"account_id": "B"})


def of_the_month(name: str, folder: Path, breaks: Break, broker: type[BooksBroker] = BooksBroker) -> CheckResult:
    books = clean_books()
    breaks(books)
    snapshot = take_snapshot(books, broker(books), folder / "one", tie_limit_s=0, with_prices=True)
    (whole,) = [result for result in judge(snapshot.directory).results if result.name == name]
    return _of_this_month(whole, snapshot, MONTH)


@pytest.mark.parametrize(("name", "breaks"), [("stops", OLD_STOP), ("reconciliation", OLD_MISMATCH)])
def test_what_a_month_before_did_wrong_does_not_fail_this_one_and_is_said(
    tmp_path: Path, name: str, breaks: Break
) -> None:
    result = of_the_month(name, tmp_path, breaks)
    assert (result.verdict, result.reason) == (Verdict.PASSED, "")
    assert result.notes[-1].startswith("1 findings at rows from before")


@pytest.mark.parametrize(
    ("name", "breaks", "broker"),
    [
        ("stops", OLD_STOP, NoPrices),
        ("reconciliation", both(account_never_reconciled, OLD_MISMATCH), BooksBroker),
    ],
)
def test_an_old_finding_does_not_hide_what_nobody_could_see(
    tmp_path: Path, name: str, breaks: Break, broker: type[BooksBroker]
) -> None:
    assert of_the_month(name, tmp_path, breaks, broker).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    "breaks",
    [
        change_prices({40: ("1.2", "1.21")}),
        add_transaction("ORDER_CANCEL", 45, orderID="7", reason="CLIENT_REQUEST"),
    ],
    ids=["touched in the month", "cancelled in the month"],
)
def test_what_befell_an_older_stop_in_the_month_fails_it(tmp_path: Path, breaks: Break) -> None:
    assert of_the_month("stops", tmp_path, breaks).verdict is Verdict.FAILED


def test_an_audit_takes_the_books_in_its_place_for_its_own_only_if_they_are_younger_than_the_month(
    tmp_path: Path, settings: Any
) -> None:
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"wartest_home": tmp_path})
    before = timezone.now()
    run = SimpleNamespace(plan=asdict(live_plan_for("smoke")), planned_start=before)
    slot = SimpleNamespace(run=run, run_id=3, window_end=before)
    books = clean_books()
    sealed = take_snapshot(books, BooksBroker(books), snapshot_folder(slot), tie_limit_s=0)
    assert _snapshot(slot).manifest_sha256 == sealed.manifest_sha256
    run.planned_start = timezone.now()
    with pytest.raises(SnapshotUnreadable, match="is older than this audit"):
        _snapshot(slot)
