"""The databases of cells are made from a template that the user keeps, or from the SQL that a dump wrote."""

import asyncio

import psycopg
import pytest

from gates.chaos.cells.ledgers import LedgerServer
from gates.chaos.cells.templates import cells_template
from gates.targets.access import TargetUnreachableError

DUMP = """\
\\restrict abc
CREATE SCHEMA desk;
CREATE TABLE desk.instruments (name text PRIMARY KEY);
INSERT INTO desk.instruments VALUES ('EUR_USD'), ('50% of it');
\\unrestrict abc
"""


async def copied(ledgers, chaos):
    """What a cell's copy holds, and whether anything is left of all this."""
    async with cells_template(chaos, ledgers) as template:
        name = await ledgers.create("run", template=template)
        async with await psycopg.AsyncConnection.connect(ledgers.url_of(name)) as connection:
            rows = await (await connection.execute("SELECT name FROM desk.instruments ORDER BY 1")).fetchall()
        await ledgers.drop(name)
    return [row[0] for row in rows], list(await ledgers.mine())


def test_a_dump_is_restored_with_its_reference_rows_and_nothing_is_left_of_it(postgres_server, tmp_path):
    (tmp_path / "schema.sql").write_text(DUMP)
    ledgers = LedgerServer(postgres_server.url("postgres"))
    found = asyncio.run(copied(ledgers, {"schema_file": str(tmp_path / "schema.sql")}))
    assert found == (["50% of it", "EUR_USD"], [])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("CREATE TABEL x ();", r"cannot be restored \(syntax error .* --no-owner"),
        ("COPY x (a) FROM stdin;\n1\n\\.\n", "dump them with --inserts"),
        (b"\xff\xfe", "not in UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_is_no_dump_is_said_and_nothing_is_left_of_it(postgres_server, tmp_path, content, words):
    path = tmp_path / "schema.sql"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    ledgers = LedgerServer(postgres_server.url("postgres"))
    with pytest.raises(TargetUnreachableError, match=words):
        asyncio.run(copied(ledgers, {"schema_file": str(path)}))
    assert list(asyncio.run(ledgers.mine())) == []
