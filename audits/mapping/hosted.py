"""A user's schema from the description that a PostgREST, such as Supabase's, gives of itself. Sends GET alone."""

import re
from collections.abc import Mapping
from typing import Any

from audits.mapping.found import Field, Reference, Table
from audits.sources import LedgerUnreadable
from audits.sources.postgrest_pages import PostgrestDoor

TIMEOUT_S = 30.0
_REFERENCE = re.compile(r"<fk table='([^']+)' column='([^']+)'/>")
_KEY = "<pk/>"
_SHORT = {"timestamptz": "timestamp with time zone", "timestamp": "timestamp without time zone", "varchar": "text"}
_SHORT |= {"int2": "smallint", "int4": "integer", "int8": "bigint", "bool": "boolean", "bpchar": "character"}


def read_described(url: str, key: str, *, schema: str = "public") -> tuple[Table, ...]:
    """The tables that the server describes, with keys and references; neither counts nor words.

    Raises LedgerUnreadable where it describes nothing.
    """
    door = PostgrestDoor(url, key, schema, timeout_s=TIMEOUT_S)
    with door.opened():
        definitions = door.described()
    tables = tuple(_table(schema, name, definition) for name, definition in sorted(definitions.items()))
    if not any(table.fields for table in tables):
        raise LedgerUnreadable(
            f"The server at {door.url} does not describe the tables of the schema {schema} to this key: "
            "use a key that may read them, or give the address of its PostgreSQL."
        )
    return tables


def _table(schema: str, name: str, definition: Mapping[str, Any]) -> Table:
    fields, references, keys = [], [], []
    for column, told in definition.get("properties", {}).items():
        kind = str(told.get("format", ""))
        words = str(told.get("description", ""))
        labels = tuple(str(one) for one in told["enum"]) if isinstance(told.get("enum"), list) else None
        fields.append(Field(column, "USER-DEFINED" if labels else _SHORT.get(kind, kind), labels))
        keys += [column] if _KEY in words else []
        references += [Reference(column, other, target) for other, target in _REFERENCE.findall(words)]
    return Table(schema, name, tuple(fields), keys[0] if len(keys) == 1 else "", tuple(references))
