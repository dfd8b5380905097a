"""Searching for hands: what a slot of the check `hands` looks at, judged by the pure rules.

A slot looks at the target's identity, at the broker's transactions since the look before, at its description in the
portal, at the rows that are final, and at how the run's own slots were closed. What it could not look at makes it
inconclusive.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
import rfc8785
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from psycopg import sql
from psycopg.rows import dict_row

from audits.findings import Finding
from audits.sources import BrokerError
from audits.sources.postgres_moment import OUR_NAME
from audits.transactions import Record
from gates.campaigns.hands import ClosedByHand, judge_at_rest, judge_description, judge_slots
from gates.checks import at_rest, health
from gates.checks.hands import SentOrders, judge_hands, undecided
from gates.checks.ledger import reader_of
from gates.checks.outcome import Outcome, inconclusive, judged
from gates.models import AtRest, Run, Slot, SlotResult
from gates.targets.access import Access

CHECK = "hands"
MOST_CLOSED = 100


def look_for_hands(slot: Slot, reach: Access) -> Outcome:
    """Do the whole look of one slot. Errors of the target's ledger and broker are said as inconclusive."""
    seen = health.observe(reach)
    if "error" in seen:
        return inconclusive(f"Nobody's hands can be ruled out: {seen['error']}")
    since = _last_transaction(slot)
    if since is None:
        return inconclusive("The run started without knowing the broker's last transaction: hands cannot be told.")
    identity = tuple(found for found in health.judge(seen, slot.run.baseline).findings if found.rule in _IDENTITY)
    try:
        with reader_of(reach) as broker:
            transactions = broker.transactions(since)
        sent = _sent(reach, transactions)
        rest = _at_rest(slot.run, reach)
    except (BrokerError, psycopg.Error, at_rest.TooManyRowsError) as error:
        return inconclusive(f"Nobody's hands can be ruled out: {str(error).splitlines()[0][:200]}")
    findings = (
        *identity,
        *judge_description(slot.run.baseline, description_sha256(slot.run.campaign.target.spec)),
        *judge_hands(transactions, sent),
        *rest,
        *judge_slots(closed_by_hand(slot.run)),
    )
    last = max((int(record["id"]) for record in transactions), default=since)
    measured = {"last_transaction_id": last, "transactions": len(transactions)} | _rows(slot.run)
    unsure = _unseen(seen, slot.run) or undecided(transactions, sent)
    return inconclusive(unsure, **measured) if unsure and not findings else judged(findings, measured)


def _unseen(seen: dict[str, Any], run: Run) -> str:
    names = health.no_longer_told(seen, run.baseline)
    words = f"the target's {', '.join(names)}, known at the start of the run, cannot be seen any more."
    return f"Nobody's hands can be ruled out: {words}" if names else ""


_IDENTITY = ("another process", "another build", "another configuration")


def description_sha256(spec: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a target's description; it names secrets and holds none."""
    return hashlib.sha256(rfc8785.dumps(dict(spec))).hexdigest()


def last_transaction(reach: Access) -> int:
    """Ask the broker how far the account is: what comes after it was done since. Raises BrokerError."""
    with reader_of(reach) as broker:
        return int(broker.summary()["lastTransactionID"])


def closed_by_hand(run: Run) -> list[ClosedByHand]:
    """Return slots of the run that were closed without the result of the one who had claimed them."""
    results = SlotResult.objects.filter(slot=OuterRef("pk"), verdict=OuterRef("verdict"), attempt=OuterRef("attempt"))
    suspect = run.slots.filter(Q(state=Slot.State.DONE) & (~Exists(results) | Q(attempt=0)))
    early = run.slots.filter(state=Slot.State.DUE, result__isnull=False)
    found = [(slot, "it has no result of its own claim") for slot in suspect.order_by("due_at")[:MOST_CLOSED]]
    found += [(slot, "it has a result and is still due") for slot in early[:MOST_CLOSED]]
    return [ClosedByHand(str(slot), why) for slot, why in found]


def _last_transaction(slot: Slot) -> int | None:
    before = SlotResult.objects.filter(
        slot__run=slot.run,
        slot__check_name=CHECK,
        slot__due_at__lt=slot.due_at,
        measured__has_key="last_transaction_id",
    )
    last = before.order_by("-slot__due_at").values_list("measured__last_transaction_id", flat=True).first()
    found = slot.run.baseline.get("last_transaction_id") if last is None else last
    return None if found is None else int(found)


def _sent(reach: Access, transactions: Iterable[Record]) -> SentOrders:
    """Read, after the transactions, the orders of the ledger that they could be of."""
    ids, clients = [], []
    for record in transactions:
        ids.append(str(record.get("id")))
        extensions = (record.get("clientExtensions") or {}, record.get("tradeClientExtensions") or {})
        clients += [str(each["id"]) for each in extensions if each.get("id")]
    if not ids:
        return SentOrders.of(())
    query = sql.SQL(
        "SELECT client_order_id, broker_order_id, created_at FROM {} "
        "WHERE broker_order_id = ANY(%s) OR client_order_id = ANY(%s)"
    ).format(sql.Identifier(reach.ledger_schema, "orders"))
    options = f"-c statement_timeout={at_rest.STATEMENT_LIMIT_MS} -c default_transaction_read_only=on"
    with psycopg.connect(
        reach.ledger_url,
        connect_timeout=at_rest.CONNECT_LIMIT_S,
        options=options,
        application_name=OUR_NAME,
        row_factory=dict_row,
    ) as ledger:
        return SentOrders.of(ledger.execute(query, (ids, clients)).fetchall())


def _at_rest(run: Run, reach: Access) -> tuple[Finding, ...]:
    """Compare the rows that are final with the look before, and keep this look where nothing was lost.

    A loss is found again by every later look, so that a result that could not be recorded loses nothing.
    """
    kept = {row.relation: row for row in AtRest.objects.filter(run=run)}
    lost = []
    for now in at_rest.look(reach, run.planned_start):
        row = kept.get(now.relation)
        before = at_rest.Seen.unpacked(row.relation, bytes(row.keys), bytes(row.contents)) if row else None
        gone = at_rest.vanished(reach, before, now) if before else None
        if gone is not None:
            lost.append(gone)
            continue
        keys, contents = now.packed()
        AtRest.objects.update_or_create(
            run=run,
            relation=now.relation,
            defaults={"rows": len(now.rows), "keys": keys, "contents": contents, "seen_at": timezone.now()},
        )
    return judge_at_rest(lost)


def _rows(run: Run) -> dict[str, int]:
    return {f"rows_{row}": rows for row, rows in AtRest.objects.filter(run=run).values_list("relation", "rows")}
