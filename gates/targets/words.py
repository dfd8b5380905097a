"""Commands as lists of words, which no shell reads, and the places in texts that a cell fills. Pure."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from string import Formatter

PLACES = (
    *("ledger_url", "broker_url", "account", "token", "port"),
    *("ledger_host", "ledger_port", "ledger_name", "ledger_user", "ledger_password", "broker_host", "broker_port"),
    *("cell_folder", "ca_file", "proxy_url"),
)
REST_PLACES = ("ledger_url", "port")
IN_FILE = re.compile(r"\{((?:ledger|broker|cell|ca|proxy)_[a-z_]{1,30}|account|token|port)\}")
MOST_WORDS = 200
LONGEST_WORD = 4096
SHELL_SIGNS = frozenset("|&;<>`$\n*?~")
SHELL_WORDS = frozenset({"|", "||", "&", "&&", ";", ">", ">>", "<", "<<", "2>", "2>&1", "&>"})
SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "fish", "cmd", "cmd.exe", "powershell", "pwsh"})
NO_SHELL = 'no shell reads it: give a program and its words, as ["/srv/desk/start", "--port", "8010"]'


def command_words(value: object) -> list[str]:
    """Return a command as words: a list as it is, a text taken apart at its spaces.

    Raises ValueError for whatever only a shell would understand, and for a shell that is given a script in a word.
    """
    if isinstance(value, str):
        signs = sorted(SHELL_SIGNS.intersection(value))
        if signs:
            raise ValueError(f"{signs[0]!r} means nothing here, since {NO_SHELL}")
        try:
            words = shlex.split(value)
        except ValueError:
            raise ValueError(f"a quotation mark is not closed, and {NO_SHELL}") from None
    elif isinstance(value, list) and all(isinstance(word, str) for word in value):
        words = value
    else:
        raise ValueError('must be a list of words, as ["/srv/desk/start", "--port", "8010"]')
    _demand_plain(words)
    return words


def _demand_plain(words: list[str]) -> None:
    if not words or not words[0]:
        raise ValueError("names no program: the first word must be one")
    if len(words) > MOST_WORDS or max(map(len, words)) > LONGEST_WORD:
        raise ValueError(f"is too long: at most {MOST_WORDS} words of {LONGEST_WORD} characters each")
    for word in words:
        if word in SHELL_WORDS or "$(" in word or "`" in word or "\0" in word:
            raise ValueError(f"{word[:20]!r} means nothing here, since {NO_SHELL}")
    if PurePath(words[0]).name in SHELLS and any(word.startswith("-") and word.endswith("c") for word in words[1:]):
        raise ValueError(f"starts a shell, which would stand between us and the program: {NO_SHELL}")


def demand_places(text: str, places: Sequence[str] = PLACES) -> None:
    """Raise ValueError where a text holds a place that no cell fills."""
    try:
        names = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError:
        raise ValueError("holds a brace that is not closed: write {{ and }} for braces of your own") from None
    for name in names:
        if name not in places:
            known = ", ".join(f"{{{place}}}" for place in places)
            raise ValueError(f"holds {{{name[:30]}}}, which no cell fills: use {known}, or {{{{ }}}} for braces")


def in_file(text: str, places: Mapping[str, str] | None) -> str:
    """Return the text of a file with its places filled, None leaves them; braces of any other kind are the file's own.

    Raises ValueError for what looks like a place and is none.
    """

    def filled(found: re.Match[str]) -> str:
        if found[1] not in PLACES:
            known = ", ".join(f"{{{place}}}" for place in PLACES)
            raise ValueError(f"holds {{{found[1]}}}, which no cell fills: use {known}")
        return found[0] if places is None else places[found[1]]

    return IN_FILE.sub(filled, text)
