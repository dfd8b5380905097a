"""What keys of a section mean together: which belong to each other, and which exclude each other. Pure.

Each function takes a section as a mapping, however wrong its values are, and yields every mistake with the key that it
stands at (none: the section itself), so that all are told at once, beside those of types and names.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Key = tuple[str, ...]
Said = Mapping[str, Any]
Mistakes = Iterator[tuple[Key, str]]

# Of each kind the keys that only it has, and those of them that it cannot do without.
KIND_FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "command": ((), ("command",)),
    "systemd": (("unit", "user_units"), ("unit",)),
    "docker": (("container", "daemon"), ("container",)),
    "kubernetes": (("namespace", "selector", "deployment", "pod_container", "context"), ("deployment",)),
    "external": (("start", "stop", "status", "kill", "logs"), ("start", "stop", "status")),
}
WAYS = ("post", "command", "queue", "wait")


def build_sense(said: Said) -> Mistakes:
    """One way to learn the build."""
    if len([key for key in ("command", "url", "value") if key in said]) != 1:
        yield (), 'needs one of command, url and value, as build = { command = ["git", "rev-parse", "HEAD"] }'


def ledger_sense(said: Said) -> Mistakes:
    """A PostgreSQL, or a hosted one with its key."""
    if ("url" in said) == ("supabase" in said):
        yield (), 'needs either url = "env:LEDGER_URL", or supabase = "env:SUPABASE_URL" with its key'
    elif "supabase" in said and "key" not in said:
        yield ("key",), 'is missing: supabase needs it, as key = "env:SUPABASE_KEY"'
    elif "url" in said and "key" in said:
        yield ("key",), "belongs to supabase: a postgresql:// address holds its own password"


def process_sense(said: Said) -> Mistakes:
    """What its kind needs, and nothing of another kind."""
    kind = said.get("kind", "command")
    own, needed = KIND_FIELDS.get(kind if isinstance(kind, str) else "", ((), ()))
    for key in needed:
        if key not in said:
            yield (key,), f'is missing: the kind "{kind}" needs {key}'
    for other, (keys, _) in KIND_FIELDS.items() if kind in KIND_FIELDS else ():
        for key in keys:
            if key in said and key not in own:
                yield (key,), f'belongs to kind = "{other}", and this one is "{kind}"'
    if "command" in said and "ready" not in said:
        yield ("ready",), 'is missing: command needs ready, as ready = "http://127.0.0.1:{port}/health"'


def operation_sense(said: Said) -> Mistakes:
    """One way to ask, with what belongs to it."""
    ways = [way for way in WAYS if said.get(way) not in (None, False)]
    if len(ways) != 1:
        yield (), "needs exactly one of post, command, queue and wait = true"
        return
    if ways[0] in ("queue", "wait") and "done" not in said:
        yield (), 'needs done, as done = "SELECT count(*) > 0 FROM positions WHERE …", to know when it is'
    if ways[0] not in ("queue", "wait") and "done" in said:
        yield ("done",), "belongs to queue and wait: an answer or an exit code tells the others"
    if "body" in said and ways[0] != "post":
        yield ("body",), "belongs to post"


def prevention_sense(said: Said) -> Mistakes:
    """Places for what is tested, in each way to test it."""
    if "command" not in said and "program" not in said:
        yield (), "give a command, a program or both: without one no prevention test can be run"
    if "command" in said and not all(_holds(said["command"], place) for place in ("{build}", "{test}")):
        yield ("command",), "must hold {build} and {test}: the same test has to run on both builds"
    if "program" in said and not _holds(said["program"], "{build}"):
        yield ("program",), "must hold {build}: both builds have to be started by it"


def _holds(words: object, place: str) -> bool:
    if isinstance(words, str):
        return place in words
    return isinstance(words, list) and any(isinstance(word, str) and place in word for word in words)


def chaos_sense(said: Said) -> Mistakes:
    """One source of the copies, and names for a program that has its own hosts."""
    if "template" in said and "schema_file" in said:
        yield ("schema_file",), "stands beside template: keep one of them"
    if said.get("host_override") and not said.get("hosts"):
        yield ("host_override",), 'needs hosts, as hosts = ["api-fxpractice.oanda.com"]'


def description_sense(said: Said) -> Mistakes:
    """What sections need of each other."""
    process = said.get("process")
    if "operations" in said and not (isinstance(process, Mapping) and "command" in process):
        yield ("operations",), "needs [process] command and ready: cells start the program themselves"


def senses(data: Said) -> Mistakes:
    """Every such mistake of a whole description, with the path of its key."""
    yield from description_sense(data)
    for name, sense in (
        ("build", build_sense),
        ("ledger", ledger_sense),
        ("process", process_sense),
        ("prevention", prevention_sense),
        ("chaos", chaos_sense),
    ):
        if isinstance(data.get(name), Mapping):
            yield from (((name, *key), words) for key, words in sense(data[name]))
    operations = data.get("operations")
    for name, said in operations.items() if isinstance(operations, Mapping) else ():
        if isinstance(said, Mapping):
            yield from (((*("operations", str(name)), *key), words) for key, words in operation_sense(said))


def demand(mistakes: Mistakes) -> None:
    """Raise ValueError for the first one."""
    for key, words in mistakes:
        raise ValueError(f"{'.'.join(key)} {words}".strip())
