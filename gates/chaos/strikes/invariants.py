"""What must hold beyond the audit after a strike: pure, from the broker's transactions and the ledger's rows.

Sources: at most one executed order for each intent, exposure never above what was asked for (SEC release 70694, Knight
Capital), every position protected, in-doubt work resolved one way, nothing acknowledged and then lost.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from audits.findings import Finding, Level
from audits.transactions import moment_of
from gates.chaos.baseline import Script
from gates.chaos.cells.noise import SILENCE, Noise
from gates.chaos.cells.resting import STOPS, naked_trades, open_trades, opened_trade, resting_ids, unstopped_spells
from gates.chaos.cells.states import LOST_ORDERS, Row, State, Told, counted

UNFINISHED = frozenset({"pending", "submitted"})
EXECUTED = frozenset({"filled", "partially_filled"})
STATUSES = (*UNFINISHED, *EXECUTED, *LOST_ORDERS)  # a target may say anything in its place, of any type
PROTECTION_LIMIT_MS = 1000
Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Clean:
    """How the operation goes when nothing strikes: the state it starts from and the one it ends in.

    `script` holds the kinds of its messages; with an empty one no strike is shown to be at one of them. `noise` is what
    differs from one such run to the next.
    """

    start: State
    end: State
    script: Script = field(default_factory=Script)
    noise: Noise = SILENCE

    def another_start(self, before: State) -> str:
        """Why what follows `before` cannot be judged by this run, in words; empty where both hold as many positions."""
        ours, theirs = before.held, self.start.held
        return "" if ours == theirs else f"Another start: it holds {ours} positions, in the clean run it held {theirs}."

    def shape(self) -> dict[str, Any]:
        """As JSON carries it."""
        states = {"start": self.start.shape(), "end": self.end.shape()}
        return states | self.script.shape() | {"noise": self.noise.shape()}

    @classmethod
    def of(cls, shape: Mapping[str, Any]) -> "Clean":
        """What `shape` gave; script and noise are empty where it was written down without them."""
        noise = Noise.of(shape.get("noise") or {})
        return cls(State.of(shape["start"]), State.of(shape["end"]), Script.of(shape), noise)


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What was found after the recovery. `acknowledged` is the operation's own answer where it said success."""

    clean: Clean
    before: State
    after: State
    acknowledged: Mapping[str, Any] | None
    protection_limit_s: float = PROTECTION_LIMIT_MS / 1000

    @property
    def since(self) -> tuple[Record, ...]:
        """The broker's transactions since the operation was asked for."""
        return tuple(record for record in self.after.broker if int(record["id"]) > self.before.last_transaction)


def protection_limit_ms(spec: Mapping[str, Any]) -> int:
    """The longest that an open position may be without its stop, as a target's description says."""
    return (spec.get("chaos") or {}).get("protection_limit_ms") or PROTECTION_LIMIT_MS


def broken(seen: Aftermath) -> tuple[Finding, ...]:
    """Every invariant that does not hold."""
    return (
        *_executed_once(seen),
        *_exposure(seen),
        *_protected(seen),
        *_resolved(seen),
        *_legal_end(seen),
        *_acknowledged(seen),
    )


def _executed_once(seen: Aftermath) -> Iterator[Finding]:
    """At most one executed order for each intent, or as many as the clean run makes of one, and none without an intent.

    Of a ledger that keeps no client ids intents cannot be told from each other: what was dealt in all speaks for them.
    """
    executed = _executed(seen.since)
    most = max(_executed(_new(seen.clean)).values(), default=1)
    allowed = f"at most {most} fill{'' if most == 1 else 's'}"
    intents = {row.get("client_order_id") for row in seen.after.ledger["orders"].values()}
    kept = any(row.get("client_order_id") for row in seen.clean.end.ledger["orders"].values())
    for client_id, count in executed.items():
        if count > most:
            yield _finding("intent executed twice", allowed, f"{count} fills", client_order_id=client_id)
        if kept and client_id not in intents:
            yield _finding("execution without intent", "an order row", "none", client_order_id=client_id)


def _exposure(seen: Aftermath) -> Iterator[Finding]:
    """Net units stay between those of the clean run at every instant, and no more is dealt in all."""
    allowed, dealt = _paths(_fills(_new(seen.clean))), _paths(_fills(seen.since))
    for instrument, path in dealt.items():
        limits = allowed.get(instrument, [Decimal(0)])
        lowest, highest = min(limits), max(limits)
        for net in path:
            if not lowest <= net <= highest:
                yield _finding("exposure", f"{lowest} to {highest} units", f"{net} units", instrument=instrument)
                break
        most, turnover = _turnover(limits), _turnover(path)
        if turnover > most:
            yield _finding("dealt more than asked for", f"{most} units", f"{turnover} units", instrument=instrument)


def _protected(seen: Aftermath) -> Iterator[Finding]:
    """Each trade opened since has a stop within the limit, and each open one keeps a stop, as in the clean run, or is
    without it no longer than the limit beyond the longest time of the clean run, which varies by itself.
    """
    if not any(record["type"] in STOPS for record in seen.clean.end.broker):
        return
    limit = timedelta(seconds=seen.protection_limit_s)
    first: dict[str, Record] = {}
    for record in seen.since:
        if record["type"] in STOPS:
            first.setdefault(str(record.get("tradeID")), record)
    opened = {trade: fill for fill in _fills(seen.since) if (trade := opened_trade(fill))}
    late = [trade for trade, fill in opened.items() if trade not in first or _apart_in_time(fill, first[trade]) > limit]
    for trade in late:
        yield _finding("position without stop", f"a stop within {limit.total_seconds()} s", "none", trade_id=trade)
    for trade in sorted(_bared(seen).difference(late)):
        yield _finding("position without stop", "its stop", "cancelled while open", trade_id=trade)
    most = limit + max((spell for _, spell in _spells(seen.clean.end, seen.clean.start)), default=timedelta())
    allowed = f"at most {most.total_seconds()} s without a stop"
    for trade, spell in _spells(seen.after, seen.before):
        if spell > most:
            yield _finding("position without stop", allowed, f"{spell.total_seconds()} s without one", trade_id=trade)


def _spells(after: State, before: State) -> list[tuple[str, timedelta]]:
    """The trades that were without their stop for a while, which ended since, and for how long."""
    spells = unstopped_spells(after.broker)
    return [(trade, _apart_in_time(bared, end)) for trade, bared, end in spells if _is_new(end, before)]


def _bared(seen: Aftermath) -> set[str]:
    """The open trades without a stop: those opened since, and those that had one before, unless the clean run too
    leaves a trade without.
    """
    naked = naked_trades(seen.after.broker)
    if naked_trades(seen.clean.end.broker):
        naked -= open_trades(seen.before.broker)
    return naked - naked_trades(seen.before.broker)


def _resolved(seen: Aftermath) -> Iterator[Finding]:
    """No order stays in doubt, and none is settled against what the broker did. One that waits there, known by the
    broker's id, is in no doubt.
    """
    clients, waiting = _client_ids(seen.after.broker), resting_ids(seen.after.broker)
    executed = {clients[fill["orderID"]] for fill in _fills(seen.after.broker) if fill["orderID"] in clients}
    for order_id, row in seen.after.ledger["orders"].items():
        status = row["status"]
        if status in UNFINISHED and row.get("broker_order_id") not in waiting:
            yield _finding("order in doubt", "resolved one way", str(status), order_id=order_id)
        elif status not in (*UNFINISHED, *EXECUTED) and row.get("client_order_id") in executed:
            yield _finding("given up but executed", "filled", str(status), order_id=order_id)


def _legal_end(seen: Aftermath) -> Iterator[Finding]:
    """Two ends are legal: as if it had been done once, or as if it had never been asked for."""
    end = seen.after.economy()
    done, undone = seen.clean.end.economy(), seen.clean.start.economy()
    if end in (done, undone):
        return
    if all(end[name] in (done[name], undone[name]) for name in end):
        parts = ", ".join(f"{name} {'done' if end[name] == done[name] else 'undone'}" for name in end)
        yield _finding("half done", "all done or all undone", parts)
        return
    # Shown against the nearer of the two ends, so that the row that is wrong stands out.
    legal = min((done, undone), key=lambda one: sum(end[name] != one[name] for name in end))
    for name in end:
        extra, missing = _apart(end[name], legal[name])
        if extra or missing:
            yield _finding("neither done nor undone", missing or "nothing more", extra or "nothing", relation=name)


def _acknowledged(seen: Aftermath) -> Iterator[Finding]:
    """What the target has said to be done is done, in whatever words it said so, except that nothing came of it.

    Only a status of the contract, of an order that the ledger knows by that id, is taken by its word.
    """
    if seen.acknowledged is None:
        return
    order_id, status = seen.acknowledged.get("order_id"), seen.acknowledged.get("status")
    row = _order_of(seen.after, order_id)
    if row is not None and status in STATUSES and row.get("status") != status:
        yield _finding("acknowledged and lost", str(status), str(row.get("status")), order_id=str(order_id))
    elif status not in (*UNFINISHED, *LOST_ORDERS) and seen.after.economy() != seen.clean.end.economy():
        yield _finding("acknowledged and lost", "the end of the clean run", "another end")


def _order_of(state: State, order_id: object) -> Row | None:
    """The order that a target names by its own id, the client's or the broker's."""
    named = ("order_id", "client_order_id", "broker_order_id")
    rows = state.ledger["orders"].values()
    return next((row for row in rows if order_id is not None and str(order_id) in map(row.get, named)), None)


def _apart_in_time(first: Record, then: Record) -> timedelta:
    return moment_of(then["time"]) - moment_of(first["time"])


def _fills(records: Iterable[Record]) -> list[Record]:
    return [record for record in records if record["type"] == "ORDER_FILL"]


def _executed(records: Iterable[Record]) -> Counter[str]:
    """Fills by client id, of orders that carry one."""
    listed = list(records)
    clients = _client_ids(listed)
    return Counter(clients[fill["orderID"]] for fill in _fills(listed) if fill["orderID"] in clients)


def _new(clean: Clean) -> list[Record]:
    """The broker's transactions of the clean run."""
    return [record for record in clean.end.broker if _is_new(record, clean.start)]


def _is_new(record: Record, start: State) -> bool:
    return int(record["id"]) > start.last_transaction


def _client_ids(records: Iterable[Record]) -> dict[str, str]:
    """Broker order id → client id, of orders that carry one."""
    return {
        str(record["id"]): str(record["clientExtensions"]["id"])
        for record in records
        if record["type"].endswith("_ORDER") and (record.get("clientExtensions") or {}).get("id")
    }


def _paths(fills: Iterable[Record]) -> dict[str, list[Decimal]]:
    """Net units by instrument after each fill, relative to the start, which is the first value."""
    paths: dict[str, list[Decimal]] = {}
    for fill in fills:
        path = paths.setdefault(str(fill["instrument"]), [Decimal(0)])
        path.append(path[-1] + Decimal(str(fill["units"])))
    return paths


def _turnover(path: list[Decimal]) -> Decimal:
    return sum((abs(after - before) for before, after in pairwise(path)), Decimal(0))


def _apart(rows: Told, legal: Told) -> tuple[str, str]:
    """What is there too much, and what is missing, as text."""
    extra, missing = counted(rows) - counted(legal), counted(legal) - counted(rows)
    return _words(extra), _words(missing)


def _words(rows: Counter[tuple[str | None, ...]]) -> str:
    return "; ".join(" ".join(value or "none" for value in row) for row in list(rows.elements())[:5])


SENTENCES = {
    "intent executed twice": "One intent was executed more than once: {measured}.",
    "execution without intent": "The broker executed an order that the ledger never intended.",
    "exposure": "The position reached {measured} where {expected} were asked for.",
    "dealt more than asked for": "{measured} were dealt where {expected} were asked for.",
    "position without stop": "A position is open without the stop it should have: {measured}.",
    "order in doubt": "After the recovery an order is still {measured}.",
    "given up but executed": "The ledger gave an order up ({measured}) that the broker has executed.",
    "neither done nor undone": "The ledger ends neither as if done once nor as if never asked: {measured}.",
    "half done": "Part of the operation is booked and part is not: {measured}.",
    "acknowledged and lost": "The target said that it was done; after the recovery it is not: {measured}.",
}

RULES = frozenset(SENTENCES)


def _finding(rule: str, expected: str, measured: str, **where: str) -> Finding:
    sentence = SENTENCES[rule].format(expected=expected, measured=measured)
    return Finding(rule, Level.CRITICAL, sentence, expected, measured, "", where)
