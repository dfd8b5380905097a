"""Following the broker: every transaction into the books, in order, once each, under one lock."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from gates.rehearsal.desk import ledger, orders
from gates.rehearsal.desk.booking import BookingStoppedError, Transaction, cash_effect, money
from gates.rehearsal.desk.broker import Broker, BrokerUnavailableError
from gates.rehearsal.desk.clerk import book
from gates.rehearsal.desk.database import Database
from gates.rehearsal.desk.schema import create_schema

log = logging.getLogger(__name__)

DOUBT_S = 6.0  # twice the client's timeout: a request not seen at the broker by then never got there
PAGES_LIMIT = 1000
SNAPSHOT_TRIES = 5


class Follower:
    """Keeps the books level with the broker. `stopped` holds the reason once they cannot be; `valued` is the
    transaction at which equity and margin were last taken from the broker; `doubt_ends` is when the oldest intent
    that was pending at the last look can be given up.
    """

    def __init__(self, database: Database, broker: Broker) -> None:
        self.database = database
        self.broker = broker
        self.stopped: str | None = None
        self.cursor: int | None = None
        self.valued: int | None = None
        self.doubt_ends: datetime | None = None
        self._turn = asyncio.Lock()

    @property
    def account_id(self) -> str:
        """The account whose books these are."""
        return self.broker.account_id

    async def begin(self) -> None:
        """Creates what is missing: tables, the account's row, its cursor."""
        async with self.database.transaction() as connection:
            await create_schema(connection)
            found = await connection.execute(
                "SELECT last_transaction_id FROM desk.cursors WHERE account_id = %s", (self.account_id,)
            )
            known = await found.fetchone()
        if known is None:
            await self._open_books()

    async def catch_up(self) -> None:
        """Books all the broker has. Raises BookingStoppedError, BrokerError, DatabaseUnavailableError."""
        async with self._turn:
            await self._catch_up()

    @asynccontextmanager
    async def level_with(self) -> AsyncIterator[tuple[dict[str, Any], datetime]]:
        """The broker's account, seen at the very transaction the books end with, and the moment it was
        asked for; nothing is booked inside the block. Raises BrokerUnavailableError when trading never rests.
        """
        async with self._turn:
            for _ in range(SNAPSHOT_TRIES):
                await self._catch_up()
                asked_at = datetime.now(UTC)
                account = await self.broker.account()
                if int(account["lastTransactionID"]) == self.cursor:
                    yield account, asked_at
                    return
        raise BrokerUnavailableError(f"the account moved on during each of {SNAPSHOT_TRIES} looks")

    async def resolve_doubts(self) -> None:
        """Gives up intents the broker has not heard of after DOUBT_S: nothing of them will come."""
        asked_at = datetime.now(UTC)
        before = asked_at - timedelta(seconds=DOUBT_S)
        async with self.database.transaction() as connection:
            oldest = await orders.oldest_pending(connection, self.account_id)
        self.doubt_ends = None if oldest is None else oldest + timedelta(seconds=DOUBT_S)
        if oldest is None or oldest >= before:
            return
        async with self._turn:
            await self._catch_up()
            async with self.database.transaction() as connection:
                count = await orders.give_up_pending(connection, self.account_id, before=before, now=datetime.now(UTC))
        if count:
            log.warning("gave up %d order intents the broker never saw", count)

    async def value_account(self) -> None:
        """Takes equity and margin from the broker, at the transaction the books end with."""
        async with self.level_with() as (account, _):
            async with self.database.transaction() as connection:
                await write_valuation(connection, self.account_id, account)
            self.valued = self.cursor

    async def _catch_up(self) -> None:
        if self.stopped is not None:
            raise BookingStoppedError(self.stopped)
        try:
            for _ in range(PAGES_LIMIT):
                if await self._book_page():
                    return
        except BookingStoppedError as reason:
            self.stopped = str(reason)
            log.critical("booking stopped: %s", reason)
            raise
        except BaseException:
            self.cursor = None  # what was committed is known only to the database
            raise
        raise BrokerUnavailableError(f"still not level after {PAGES_LIMIT} pages of transactions")

    async def _book_page(self) -> bool:
        """Books one page; whether the books are level with the broker then."""
        if self.cursor is None:
            async with self.database.transaction() as connection:
                self.cursor = await ledger.lock_cursor(connection, self.account_id)
        page = await self.broker.transactions_since(self.cursor)
        if page.last_transaction_id < self.cursor:
            raise BrokerUnavailableError(
                f"the broker's last transaction is {page.last_transaction_id}, the last in the books {self.cursor}"
            )
        for transaction in page.transactions:
            transaction_id = int(transaction["id"])
            if transaction_id > self.cursor + 1:
                raise BrokerUnavailableError(f"the broker's answer leaves out transaction {self.cursor + 1}")
            if transaction_id == self.cursor + 1:
                await self._book_one(transaction)
                self.cursor = transaction_id
        return self.cursor >= page.last_transaction_id

    async def _book_one(self, transaction: Transaction) -> None:
        async with self.database.transaction() as connection:
            await book(connection, self.account_id, transaction, now=datetime.now(UTC))

    async def _open_books(self) -> None:
        """Opens the account's books so that opening balance + booked amounts is the broker's balance: with
        a history that begins with its funding, that is zero.
        """
        account = await self.broker.account()
        page = await self.broker.transactions_since(0)
        opening = Decimal(str(account["balance"]))
        for transaction in page.transactions:
            if "accountBalance" in transaction:
                opening = money(transaction, "accountBalance") - cash_effect(transaction)
                break
        async with self.database.transaction() as connection:
            now = datetime.now(UTC)
            await connection.execute(
                """INSERT INTO wartest.accounts VALUES (%s, %s, %s, %s, %s, 0, %s, %s)
                   ON CONFLICT DO NOTHING""",
                (self.account_id, account["currency"], opening, opening, opening, opening, now),
            )
            await connection.execute(
                "INSERT INTO desk.cursors VALUES (%s, 0) ON CONFLICT DO NOTHING", (self.account_id,)
            )


async def write_valuation(connection: ledger.Connection, account_id: str, account: dict[str, Any]) -> None:
    """Writes equity (NAV) and margin from the broker's account."""
    equity, used = money(account, "NAV"), money(account, "marginUsed")
    await connection.execute(
        """UPDATE wartest.accounts SET equity = %s, margin_used = %s, margin_available = %s, updated_at = %s
           WHERE account_id = %s""",
        (equity, used, equity - used, datetime.now(UTC), account_id),
    )
