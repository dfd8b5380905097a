"""Letting go of a database that does not answer, from the loop of a process that must outlive it."""

from asgiref.sync import sync_to_async
from django.db import connection


async def hang_up() -> None:
    """Close the connection of the thread that does the database's work; its next query opens another."""
    await sync_to_async(let_go)()


def let_go() -> None:
    """Close the connection of the thread in which this is called.

    Looked up here: `connection.close` named in the loop would be that of the loop's own thread, and closing it from
    another one ends the process.
    """
    connection.close()
