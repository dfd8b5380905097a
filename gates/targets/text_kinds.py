"""What texts a description may hold: addresses, commands, and secrets by their names. Pure."""

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints

from gates.targets.words import REST_PLACES, command_words, demand_places

NAMED = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:/.+")
BY_NAME = "env:NAME (a variable where the portal runs) or file:/path (a file that only its owner can read)"
ISSUERS = ("sk-", "sk_live_", "ghp_", "gho_", "github_pat_", "xoxb-", "xoxp-", "AKIA", "glpat-", "sbp_", "sb_secret_")
OANDA_TOKEN = re.compile(r"[0-9a-f]{32}-[0-9a-f]{32}")
WEB_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")
SECRET_KEY = re.compile(r"(?i)(?:^|[_-])(?:password|passwd|secret|token|api_?key|private_?key|key)$")
LETTERS_AND_DIGITS = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_+/=-]{40,}")


class Section(BaseModel):
    """A section: no key but its own, and no type but the one that is meant."""

    model_config = ConfigDict(extra="forbid", strict=True)

    def said(self) -> dict[str, Any]:
        """Return what the file said of it and the defaults, by the file's own keys."""
        return self.model_dump(by_alias=True, exclude_none=True)


def is_named(text: str) -> bool:
    """Whether a text only names a secret."""
    return NAMED.fullmatch(text) is not None


def looks_secret(key: str, text: str) -> bool:
    """Whether a text holds a secret in clear, by its shape or by the key that it stands at."""
    if text.startswith(("env:", "file:")) or not text.strip():
        return False
    if _password(text) or text.startswith(ISSUERS) or OANDA_TOKEN.search(text) or WEB_TOKEN.search(text):
        return True
    if re.fullmatch(r"[{][a-z_]+[}]", text):
        return False
    return SECRET_KEY.search(key) is not None or LETTERS_AND_DIGITS.fullmatch(text) is not None


def _password(text: str) -> bool:
    try:
        return "://" in text and bool(urlsplit(text).password)
    except ValueError:
        return False


def _named(text: str) -> str:
    """Words are kept free of the text itself: it is, or is near to, a secret."""
    if not is_named(text):
        raise ValueError(f"must name the secret and not hold it: write {BY_NAME}")
    return text


def _plain(text: str) -> str:
    if text.startswith(("env:", "file:")) and not is_named(text):
        raise ValueError(f"names nothing: write {BY_NAME}")
    if text.startswith("rehearsal:"):
        raise ValueError("rehearsal: belongs to the bundled target: write the address")
    return text


def http_address(text: str) -> str:
    """Return an http address or the name of one. Raises ValueError."""
    if is_named(text) or (text.startswith(("http://", "https://")) and _host(text)):
        return text
    raise ValueError("must be an address, as http://127.0.0.1:8010/health")


def _host(text: str) -> str:
    try:
        return urlsplit(text.replace("{port}", "1")).hostname or ""
    except ValueError:
        return ""


def _ledger_address(text: str) -> str:
    if is_named(text) or (text.startswith(("postgresql://", "postgres://")) and _host(text)):
        return text
    raise ValueError('must be a postgresql:// address, best by its name, as "env:LEDGER_URL"')


def filled_by_cells(text: str) -> str:
    """Return a text that cells fill. Raises ValueError for a place that they do not know."""
    if not is_named(text):
        demand_places(text)
    return text


def file_name(text: str) -> str:
    """Return a plain name of a file. Raises ValueError."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", text) or text in (".", ".."):
        raise ValueError('must be a plain name without a folder, as "config.json"')
    return text


def host_name(text: str) -> str:
    """Return a host's name in lower case. Raises ValueError."""
    name = text.lower()
    if not re.fullmatch(r"(?=.{1,253}$)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+", name) or name.split(".")[-1].isdigit():
        raise ValueError('must be a name alone, as "api-fxpractice.oanda.com": port 443 is meant')
    return name


def path_prefix(text: str) -> str:
    """Return what stands before the names of tables. Raises ValueError."""
    if not re.fullmatch(r"(/[A-Za-z0-9._-]{1,40}){1,5}", text):
        raise ValueError("must begin with / and not end with it, as /rest/v1")
    return text


def rest_text(text: str) -> str:
    """Return a text that the start of a cell's PostgREST fills. Raises ValueError for a place that it does not know."""
    if not is_named(text):
        demand_places(text, REST_PLACES)
    return text


def filled_by_rest(words: list[str]) -> list[str]:
    """Return its command."""
    return [rest_text(word) for word in words]


Text = Annotated[str, StringConstraints(min_length=1, max_length=4000), AfterValidator(_plain)]
HttpAddress = Annotated[Text, AfterValidator(http_address)]
CellText = Annotated[Text, AfterValidator(filled_by_cells)]
LedgerAddress = Annotated[Text, AfterValidator(_ledger_address)]
Secret = Annotated[str, AfterValidator(_named)]
Words = Annotated[list[str], BeforeValidator(command_words, json_schema_input_type=str | list[str])]
HostName = Annotated[Text, AfterValidator(host_name)]
RestText = Annotated[Text, AfterValidator(rest_text)]
