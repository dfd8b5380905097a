"""One page of a relation over PostgREST, and the sentence for each answer that is none."""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pyarrow as pa

from audits.contract import Relation
from audits.sources import LedgerUnreadable

MAX_ANSWER_BYTES = 64 * 1024 * 1024
ATTEMPTS = 3
_RETRIED = frozenset({429, 500, 502, 503, 504})
_RANGE = re.compile(r"(?:(\d+)-(\d+)|\*)/(\d+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one page, and how many the relation has in all."""

    rows: list[Mapping[str, Any]]
    total: int


class PostgrestDoor:
    """Sends GET requests to one PostgREST; the one method that reaches the network takes no verb."""

    def __init__(self, url: str, key: str, schema: str, *, timeout_s: float) -> None:
        self.url = url.rstrip("/").removesuffix("/rest/v1")
        self.time: datetime | None = None  # of the last answer, by the server's clock
        self._schema = schema
        self._timeout_s = timeout_s
        self._headers = {
            "apikey": key,
            "Authorization": f"Bearer {key}",
            "Accept": "application/json",
            "Accept-Profile": schema,
        }
        self._client: httpx.Client | None = None

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hold one connection while the block runs; a proxy in the environment never sees the key."""
        try:
            with httpx.Client(
                headers=self._headers, timeout=self._timeout_s, follow_redirects=False, trust_env=False
            ) as self._client:
                yield
        except UnicodeEncodeError as error:
            raise LedgerUnreadable(f"The key for {self.url} has characters that no key has.") from error
        finally:
            self._client = None

    def page(self, relation: Relation, names: Sequence[str], order: str, *, first: int, rows: int) -> Page:
        """Return rows from `first` on, at most `rows` of them, as texts, with the exact count of all."""
        select = ",".join(f"{name}::text" for name in names)
        headers = {"Prefer": "count=exact", "Range-Unit": "items", "Range": f"{first}-{first + rows - 1}"}
        response = self._get(f"/{relation.name}", {"select": select, "order": order}, headers)
        answer = self._json(relation, response)
        if response.status_code == 416 and first:  # fewer rows than before: it changed
            return Page([], first)
        if response.status_code not in (200, 206) or not isinstance(answer, list):
            raise self._refused(relation, response, answer)
        whole = _RANGE.fullmatch(response.headers.get("content-range", ""))
        if whole is None:
            raise LedgerUnreadable(
                f"The server at {self.url} gave no exact count of {relation.name} "
                f"({response.headers.get('content-range', 'no Content-Range')!r}): nobody could tell what it left out."
            )
        start, end, total = whole.groups()
        said = int(end) - int(start) + 1 if end else 0
        if said != len(answer) or (end and int(start) != first):
            raise LedgerUnreadable(
                f"The server at {self.url} says it sent rows {whole.group()} of {relation.name}, "
                f"but {len(answer)} came."
            )
        if any(not isinstance(row, dict) or not set(names) <= row.keys() for row in answer):
            raise LedgerUnreadable(
                f"The server at {self.url} sent rows of {relation.name} without the columns asked for."
            )
        return Page(answer, int(total))

    def described(self) -> dict[str, dict[str, Any]]:
        """Return what the server's description says of each relation, or nothing where it has none."""
        response = self._get("/", {}, {"Accept": "application/openapi+json"})
        try:
            definitions = json.loads(response.content)["definitions"]
            return {
                str(name): {"properties": {str(column): dict(told) for column, told in each["properties"].items()}}
                for name, each in definitions.items()
            }
        except (ValueError, KeyError, TypeError, AttributeError):
            return {}

    def _get(self, path: str, params: dict[str, str], headers: dict[str, str]) -> httpx.Response:
        """Send one GET, again after a refused connection, a timeout, 429 or 5xx; every other answer is final."""
        if self._client is None:
            raise LedgerUnreadable("The ledger is read only while one moment of it is open.")
        why = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(0.2 * 2 ** (attempt - 1))
            try:
                response = self._client.get(f"{self.url}/rest/v1{path}", params=params, headers=headers)
            except httpx.TransportError as error:
                why = str(error) or type(error).__name__
                continue
            except (httpx.InvalidURL, httpx.HTTPError, ValueError) as error:
                raise LedgerUnreadable(f"The ledger's address {self.url} cannot be used: {error}.") from error
            if response.status_code not in _RETRIED:
                self._note_time(response)
                return response
            why = f"it answered {response.status_code}"
        raise LedgerUnreadable(f"The ledger at {self.url} gave no usable answer in {ATTEMPTS} tries: {why}.")

    def _note_time(self, response: httpx.Response) -> None:
        try:
            self.time = parsedate_to_datetime(response.headers.get("date", ""))
        except ValueError:
            self.time = None

    def _json(self, relation: Relation, response: httpx.Response) -> Any:
        if response.status_code in (401, 403):
            raise LedgerUnreadable(
                f"The ledger at {self.url} refused the key with {response.status_code}: give a key that may read "
                f"{self._schema}.{relation.name}."
            )
        if len(response.content) > MAX_ANSWER_BYTES:
            raise LedgerUnreadable(f"The ledger at {self.url} answered more than 64 MiB at once.")
        try:
            return json.loads(response.content, parse_float=Decimal)
        except ValueError as error:
            what = response.headers.get("content-type", "no content type")
            raise LedgerUnreadable(
                f"The ledger at {self.url} answered {response.status_code} and no JSON ({what}): is the address right?"
            ) from error

    def _refused(self, relation: Relation, response: httpx.Response, answer: Any) -> LedgerUnreadable:
        told = answer if isinstance(answer, dict) else {}
        code, message = str(told.get("code", "")), " ".join(str(told.get("message", "no reason")).split())[:200]
        name = f"{self._schema}.{relation.name}"
        if code in ("42P01", "PGRST205"):
            return LedgerUnreadable(f"The ledger has no relation {name}: create the view.")
        if code in ("42703", "PGRST204"):
            return LedgerUnreadable(f"The ledger's {name} lacks a column ({message}): add it to the view.")
        if code == "PGRST106":
            return LedgerUnreadable(f"The ledger at {self.url} does not expose the schema {self._schema}: {message}.")
        if code == "42501":
            return LedgerUnreadable(f"The ledger's key may not read {name}: grant SELECT on the relation.")
        return LedgerUnreadable(f"The ledger answered {response.status_code} for {name}: {message}.")


def types_of(definitions: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the types of the columns by relation, as the server describes them."""
    return {
        name: {column: str(each.get("format", "")) for column, each in definition["properties"].items()}
        for name, definition in definitions.items()
    }


def as_texts(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return the rows as columns of text; a number that came as one keeps every digit."""
    return pa.table({name: pa.array([_text(row[name]) for row in rows], pa.string()) for name in names})


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | Decimal) else json.dumps(value, default=str)
