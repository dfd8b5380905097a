"""Rebuilding the state from the events alone, and comparing it with what is stored."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from psycopg.types.json import Jsonb

from gates.rehearsal.desk.database import Database, Row


@dataclass(frozen=True)
class Replay:
    """How many events were replayed and where the stored state differs, one sentence each."""

    replay_id: str
    events: int
    differences: tuple[str, ...]


@dataclass
class Rebuilt:
    """A position as its events tell it."""

    units_open: Decimal = Decimal(0)
    realized_pnl: Decimal = Decimal(0)
    margin_used: Decimal | None = None
    status: str = "open"
    facts: dict[str, str | None] = field(default_factory=dict)


def rebuild(events: Iterable[Row]) -> dict[str, Rebuilt]:
    """The positions that a stream of position events, ordered by sequence, amounts to."""
    positions: dict[str, Rebuilt] = {}
    for event in events:
        position = positions.setdefault(event["position_id"], Rebuilt())
        payload = event["payload"]
        match event["event_type"]:
            case "POSITION_CREATED":
                position.facts = payload
            case "ORDER_FILLED":
                position.units_open += Decimal(payload["units"])
            case "PNL_REALIZED":
                position.realized_pnl += Decimal(payload["realized_pnl"])
            case "MARGIN_RESERVED" | "MARGIN_UPDATED" | "MARGIN_RELEASED":
                position.margin_used = Decimal(payload["margin_used"])
            case "POSITION_CLOSED":
                position.status = "closed"
    return positions


def differences(rebuilt: dict[str, Rebuilt], stored: Iterable[Row]) -> list[str]:
    """Where stored positions differ from rebuilt ones."""
    found = []
    missing = set(rebuilt)
    for row in stored:
        position = rebuilt.get(row["position_id"], Rebuilt(status="without events"))
        missing.discard(row["position_id"])
        for name in ("units_open", "realized_pnl", "margin_used", "status"):
            if getattr(position, name) != row[name]:
                found.append(f"{row['position_id']}: {name} is {row[name]}, its events say {getattr(position, name)}")
    found.extend(f"{position_id} has events but no row" for position_id in sorted(missing))
    return found


async def replay(database: Database, account_id: str, *, replay_id: str | None = None) -> Replay:
    """Replays all events of the account in one repeatable view, and stores the outcome."""
    started_at = datetime.now(UTC)
    async with database.transaction() as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        events = await (
            await connection.execute(
                """SELECT event.position_id, event_type, payload
                   FROM wartest.position_events AS event JOIN wartest.positions USING (position_id)
                   WHERE account_id = %s ORDER BY position_id, sequence""",
                (account_id,),
            )
        ).fetchall()
        stored = await (
            await connection.execute("SELECT * FROM wartest.positions WHERE account_id = %s", (account_id,))
        ).fetchall()
        found = differences(rebuild(events), stored)
        totals = await (
            await connection.execute(
                """SELECT balance, opening_balance + coalesce(sum(amount), 0) AS rebuilt, count(event_id) AS events
                   FROM wartest.accounts LEFT JOIN wartest.balance_events USING (account_id)
                   WHERE account_id = %s GROUP BY account_id""",
                (account_id,),
            )
        ).fetchone()
        if totals is not None and totals["balance"] != totals["rebuilt"]:
            found.append(f"balance is {totals['balance']}, its events say {totals['rebuilt']}")
        count = len(events) + (totals["events"] if totals else 0)
        result = Replay(replay_id or str(uuid.uuid4()), count, tuple(found))
        await connection.execute(
            "INSERT INTO desk.replays VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (result.replay_id, account_id, started_at, count, Jsonb(found)),
        )
    return result
