"""What a statement may do, as far as its text says: whether it writes, and which tables it names. Pure.

A statement is given as its fingerprint: literals and parameters are `?`, and what was sent in one batch is joined by
"; ". What a function does is not to be seen from here, so each may write but for a few that are known not to.
"""

import re
from collections.abc import Sequence

Table = tuple[str, str]  # schema and name, as the catalogue has them
WRITING = {"INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "LOCK"}  # UPDATE is in FOR UPDATE too
BOOKING = ("CALL ", "DO ", "EXECUTE ", "TRUNCATE ", "FUNCTION CALL")
ASKING = ("SELECT", "WITH", "VALUES", "DECLARE", "EXPLAIN", "PREPARE")
CALLED = re.compile(r'((?:[\w"$]+\.)*)"?([\w$]+)"? ?\(')
BEFORE_A_BRACKET = """
    ABS ALL AND ANY ARRAY_AGG AS AVG BETWEEN BOOL_AND BOOL_OR BY CASE CAST CEIL COALESCE CONCAT COUNT
    CURRENT_SETTING DATE_TRUNC ELSE EXISTS EXTRACT FILTER FLOOR FROM GREATEST IN INTERVAL JOIN JSONB_AGG
    JSONB_BUILD_OBJECT JSON_AGG JSON_BUILD_OBJECT LATERAL LEAST LENGTH LOWER MATERIALIZED MAX MIN NOT NOW NULLIF
    NUMERIC ON OR OVER RANK ROUND ROW ROW_NUMBER SELECT STRING_AGG SUM THEN TO_CHAR TO_TIMESTAMP TRIM UNNEST UPPER
    USING VALUES VARCHAR WHEN WHERE WITH
"""
HARMLESS = frozenset(BEFORE_A_BRACKET.split())  # what stands before a bracket and changes nothing
PLAIN = ("", "PG_CATALOG.")  # the schemas in which these names mean what they say
_NAME = r'("[^"]+"|\w+)'
_TOUCHED = re.compile(rf"\b(?:INTO|UPDATE|FROM|JOIN)\s+(?:ONLY\s+)?(?:{_NAME}\s*\.\s*)?{_NAME}", re.IGNORECASE)


def may_write(statement: str) -> bool:
    """Whether it locks or changes rows, or calls a function that may."""
    words = statement.upper()
    return bool(WRITING.intersection(words.replace("(", " ").split())) or any(map(_books, words.split("; ")))


def calls_a_function(statement: str) -> bool:
    """Whether it calls one that is not known to change nothing."""
    return any(name not in HARMLESS or schema not in PLAIN for schema, name in CALLED.findall(statement.upper()))


def touched(statement: str, tables: Sequence[Table]) -> list[Table]:
    """Those of the tables that a statement names, in its order; by a bare name all of that name, in any schema."""
    named = [(_folded(schema), _folded(name)) for schema, name in _TOUCHED.findall(statement)]
    found = [table for schema, name in named for table in tables if table[1] == name and schema in ("", table[0])]
    return list(dict.fromkeys(found))


def _books(part: str) -> bool:
    part = part.lstrip("( ")
    return part.startswith(BOOKING) or (part.startswith(ASKING) and calls_a_function(part))


def _folded(name: str) -> str:
    """A name as the catalogue has it: in lower case, unless it is quoted (PostgreSQL manual, 4.1.1)."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
