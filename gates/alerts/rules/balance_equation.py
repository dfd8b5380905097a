"""The last balance events do not add up, do not join, or do not end in the stored balance."""

from datetime import datetime
from itertools import pairwise

from gates.alerts.rules.observed import BalanceRow, BooksSeen, Observed
from gates.alerts.rules.rule import Breach, Judgement, Rule, Runbook, Thresholds, judged, unseen


def judge(seen: Observed, limits: Thresholds) -> Judgement:
    """Exactly: before + amount = after, each begins where the last one ended, and the last one is the balance."""
    books = seen.books
    if books is None:
        return unseen(seen.why_unseen("books"))
    if not books.balance_rows:
        return unseen("the ledger has no balance event yet")
    since = seen.since("books")
    found = [*_rows(books, since), *_joints(books, since), *_ends(books, since)]
    last = books.balance_rows[-1]
    return judged(tuple(found), f"{len(books.balance_rows)} balance events up to {last.sequence} add up exactly.")


def _rows(books: BooksSeen, since: datetime) -> list[Breach]:
    return [
        _breach(row, since, f"Balance event {row.event_id}: {row.before} and {row.amount} is not {row.after}.")
        for row in books.balance_rows
        if row.before + row.amount != row.after
    ]


def _joints(books: BooksSeen, since: datetime) -> list[Breach]:
    found = []
    for one, next_one in pairwise(books.balance_rows):
        if one.account_id == next_one.account_id and one.sequence + 1 != next_one.sequence:
            words = f"Balance event {next_one.sequence} of {one.account_id} follows {one.sequence}."
            found.append(_breach(next_one, since, words))
        elif one.account_id == next_one.account_id and one.after != next_one.before:
            words = f"Balance event {next_one.event_id} begins with {next_one.before}, the last ended with {one.after}."
            found.append(_breach(next_one, since, words))
    return found


def _ends(books: BooksSeen, since: datetime) -> list[Breach]:
    last = {row.account_id: row for row in books.balance_rows}
    return [
        Breach(
            f"{account_id} balance",
            f"Account {account_id} holds {balance}, but its last balance event ends with {last[account_id].after}.",
            since,
            "equal to the last digit",
            {"account_id": account_id, "event_id": last[account_id].event_id},
        )
        for account_id, balance in books.balances.items()
        if account_id in last and balance != last[account_id].after
    ]


def _breach(row: BalanceRow, since: datetime, words: str) -> Breach:
    """A row that is wrong now was right at the look before, or not there: what was changed at rest is not old."""
    cause = {"event_id": row.event_id, "account_id": row.account_id, "sequence": row.sequence}
    return Breach(row.event_id, words, max(row.recorded_at, since), "equal to the last digit", cause)


RULE = Rule(
    name="balance equation violation",
    level="critical",
    watches="the ledger's last 200 balance events of each account and its balance; older ones by the integrity slots",
    thresholds=(),
    rechecked_by="the same end of the books adds up; what a slot found, by a later slot of its kind",
    runbook=Runbook(
        means="The books do not add up: money is missing, invented or booked twice, whatever the positions say.",
        look_at="the event named, the one before it, and the broker's transaction that it names",
        leave_alone="correct no row: an entry written by hand destroys the evidence and fails the run",
    ),
    judge=judge,
)
