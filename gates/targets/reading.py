"""Reading a target's TOML file: all mistakes at once, each with its line and what to write instead."""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gates.alerts.thresholds import BadThresholdError, thresholds_of
from gates.chaos.proxies.safety import LIVE_ENDING, LIVE_HOSTS
from gates.chaos.scenarios import SCENARIOS
from gates.chaos.scenarios.own import own_scenarios
from gates.targets.description import Description
from gates.targets.positions import Path, line_at, lines_of
from gates.targets.secrets import TargetUnreachableError
from gates.targets.senses import senses
from gates.targets.text_kinds import BY_NAME, is_named, looks_secret

MOST_BYTES = 256 * 1024
MOST_MISTAKES = 50
OWN_WORDS = {  # instead of what a type error says
    "string_type": 'must be a text in quotes, as "env:NAME"',
    "int_type": "must be a whole number, without quotes",
    "float_type": "must be a number, without quotes",
    "bool_type": "must be true or false, without quotes",
    "list_type": 'must be a list, as ["one", "two"]',
    "dict_type": "must be a section of names and values",
    "model_type": "must be a section of names and values",
    "model_attributes_type": "must be a section of names and values",
    "string_too_short": "is empty: write it, or leave the key out",
    "string_pattern_mismatch": "must be lower case letters, digits, - and _, 50 at most",
}
STRUCK = ("process", "operations", "chaos", "scenarios")  # what gate 2 starts and strikes


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake: the line it stands on (0 where it stands nowhere), the key, and what to write instead."""

    line: int
    where: str
    words: str

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        return f"{place}{self.where}{' ' if self.where else ''}{self.words}."


class DescriptionError(ValueError):
    """The file describes no target; `mistakes` are all that is wrong with it, in the order of their lines."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes


def read_file(path: FilePath, *, own_servers: frozenset[str] = frozenset()) -> Description:
    """Read a target's file. `own_servers` are `host:port` of the portal's own database. Raises DescriptionError."""
    try:
        if not path.is_file():
            raise DescriptionError(Mistake(0, str(path), "is no file: name the target's TOML file"))
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise DescriptionError(Mistake(0, str(path), f"is larger than {MOST_BYTES // 1024} KiB: name a TOML file"))
        text = content.decode()
    except UnicodeDecodeError:
        raise DescriptionError(Mistake(0, str(path), "is not in UTF-8: save it so")) from None
    except OSError as error:
        raise DescriptionError(Mistake(0, str(path), f"cannot be read: {error.strerror}")) from None
    return read_text(text, own_servers=own_servers)


def read_text(text: str, *, own_servers: frozenset[str] = frozenset()) -> Description:
    """Read a description. Raises DescriptionError with every mistake."""
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DescriptionError(Mistake(0, "", f"The file is not TOML: {error}")) from None
    lines = lines_of(text)
    told: dict[Path, str] = {}
    together = dict(senses(_meant(data)))
    for path, words in (*_unsafe(data, own_servers), *_wrong(data, together), *_judged_elsewhere(data)):
        told.setdefault(path, words)
    if told:
        mistakes = sorted(Mistake(line_at(lines, path) or 0, where(path), words) for path, words in told.items())
        raise DescriptionError(*mistakes[:MOST_MISTAKES])
    return Description.model_validate(data)


def where(path: Path) -> str:
    """Name a key as people find it: `[ledger] url`, `[live.broker]`, `build`."""
    if len(path) == 1:
        return f"[{path[0]}]" if path[0] in SECTIONS else path[0]
    deep = 2 if path[0] in ("live", "evidence") and (len(path) > 2 or _is_section(path)) else 1
    section = ".".join(path[:deep])
    return f"[{section}] {'.'.join(path[deep:])}" if path[deep:] else f"[{section}]"


def _wrong(data: Mapping[str, Any], together: Mapping[Path, str]) -> Iterator[tuple[Path, str]]:
    """What is wrong by itself, then what is wrong `together`: those of sections are told key by key."""
    try:
        Description.model_validate(data)
    except ValidationError as error:
        for detail in error.errors(include_input=False, include_url=False):
            path = _path(detail, data)
            if detail["type"] == "value_error" and (path == ("alerts",) or any(_within(key, path) for key in together)):
                continue  # told limit by limit and key by key, each with its line
            yield path, _words(detail, path)
    yield from together.items()


def _within(key: Path, section: Path) -> bool:
    """Whether a mistake of a section as a whole is that of one of its keys; one of a key itself is never."""
    return (not section or _is_section(section)) and key[: len(section)] == section


def _judged_elsewhere(data: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """What the parts that follow it say of it: the limits of alerts, and scenarios of one's own."""
    alerts = data.get("alerts")
    for name, value in alerts.items() if isinstance(alerts, Mapping) else ():
        try:
            thresholds_of({"alerts": {name: value}})
        except BadThresholdError as error:
            yield ("alerts", name), str(error).removeprefix(f"[alerts] {name} ").rstrip(".")
    try:
        own_scenarios(data, (scenario.name for scenario in SCENARIOS))
    except TargetUnreachableError as error:
        yield ("scenarios",), str(error).removeprefix("[[scenarios]] ").rstrip(".")


def _path(detail: ErrorDetails, data: Mapping[str, Any]) -> Path:
    """Return where it stands in the file: what names a type of ours and not a key is left out."""
    path: list[str] = []
    value: Any = data
    for number, part in enumerate(detail["loc"]):
        last = number == len(detail["loc"]) - 1
        if isinstance(value, Mapping) and (part in value or (last and detail["type"] == "missing")):
            path.append(str(part))
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
    return tuple(path)


def _words(detail: ErrorDetails, path: Path) -> str:
    kind, context = detail["type"], detail.get("ctx") or {}
    if kind == "missing":
        return _missing(path)
    if kind == "extra_forbidden":
        return _unknown(path)
    if kind == "value_error":
        return str(context.get("error", detail["msg"]))
    if kind == "literal_error":
        return f"must be one of {context.get('expected')}"
    if kind in ("greater_than_equal", "greater_than", "less_than_equal", "less_than"):
        return detail["msg"].replace("Input should be", "must be")
    return OWN_WORDS.get(kind, detail["msg"][:1].lower() + detail["msg"][1:])


def _missing(path: Path) -> str:
    if _is_section(path):
        return "is missing: add this section"
    field = _field(path)
    return f"is missing: {field.description}" if field and field.description else "is missing: add it"


def _unknown(path: Path) -> str:
    near = _near(path)
    if near != path[-1]:
        return f"is unknown: write {near}, if that is meant"
    return f"is unknown: known here are {', '.join(_keys(path[:-1]))}"


def _near(path: Path) -> str:
    """Return the key that is most like an unknown one; that itself where none is."""
    known = list(_keys(path[:-1]))
    near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5) if path[-1] not in known else []
    return near[0] if near else path[-1]


def _meant(data: Mapping[str, Any], path: Path = ()) -> dict[str, Any]:
    """The same with keys as they were meant, so that one that is misspelt is not told to be missing too."""
    return {
        near: _meant(value, (*path, near)) if isinstance(value, Mapping) and _is_section((*path, near)) else value
        for key, value in data.items()
        for near in (_near((*path, str(key))),)
    }


def _keys(path: Path) -> Iterator[str]:
    model = _model(path)
    for name, field in (model.model_fields if model else {}).items():
        yield field.alias or name


def _field(path: Path) -> Any:
    model = _model(path[:-1])
    fields = model.model_fields if model else {}
    return next((field for name, field in fields.items() if path[-1] in (name, field.alias)), None)


def _model(path: Path) -> type[BaseModel] | None:
    model: type[BaseModel] | None = Description
    for part in path:
        fields = model.model_fields if model else {}
        field = next((field for name, field in fields.items() if part in (name, field.alias)), None)
        model = _model_in(field.annotation) if field else None
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _model_in(each))), None)


def _is_section(path: Path) -> bool:
    return _model(path) is not None


SECTIONS = frozenset(name for name in _keys(()) if name != "build" and _is_section((name,))) | {"alerts"}


def _unsafe(data: Mapping[str, Any], own_servers: frozenset[str]) -> Iterator[tuple[Path, str]]:
    """What must not be in a file whatever else it says: secrets, the portal's own database, a live broker in gate 2."""
    for path, text in _texts(data):
        lowered = text.lower()
        if path[0] != "build" and looks_secret(path[-1], text) and not _is_query(path):
            yield path, f"holds a secret in clear: write {BY_NAME}, and change the secret, for it was in a file"
        elif path[0] in STRUCK and any(host in lowered for host in (LIVE_ENDING, *LIVE_HOSTS)):
            yield path, "names a live broker, and gate 2 never strikes before one: write {broker_url} in its place"
        elif path[-1] in ("url", "ledger") and not is_named(text) and server_of(text) in own_servers:
            yield path, "is the portal's own database: the books must be on another server"


def _is_query(path: Path) -> bool:
    return path[0] == "operations" and path[-1] in ("queue", "done")


def server_of(address: str) -> str:
    """Return `host:port` of a PostgreSQL address, one name for this machine; "" for any other text."""
    try:
        parts = urlsplit(address)
        host, port = (parts.hostname or "").rstrip("."), parts.port or 5432
    except ValueError:
        return ""
    if parts.scheme not in ("postgresql", "postgres"):
        return ""
    return f"{'127.0.0.1' if host in ('', 'localhost', '::1') else host}:{port}"


def _texts(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _texts(each, (*path, str(key)))
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, path)
    elif isinstance(value, str) and path:
        yield path, value
