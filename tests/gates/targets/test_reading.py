"""A target's file: what is right is kept as it was said, what is wrong is told with its line, all of it at once."""

import json
import tomllib

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.targets.positions import lines_of
from gates.targets.programs import read_program
from gates.targets.reading import DescriptionError, read_file, read_text
from tests.gates.targets.described import PLAIN, with_line
from wartest_site.management.commands.add_target import json_schema

TOKEN = "0123456789abcdef0123456789abcdef-fedcba9876543210fedcba9876543210"


def mistakes(text, **places):
    with pytest.raises(DescriptionError) as told:
        read_text(text, **places)
    return [str(mistake) for mistake in told.value.mistakes]


def only(text, **places):
    (mistake,) = mistakes(text, **places)
    return mistake


def test_the_plain_description_is_read_and_can_be_followed():
    found = read_text(PLAIN)
    spec = found.spec()
    assert (found.name, "name" in spec) == ("fx-desk", False)
    assert spec["build"] == {"command": ["git", "-C", "/srv/desk", "rev-parse", "HEAD"]}
    assert found.named() == ["env:LEDGER_URL", "env:OANDA_ACCOUNT_ID", "env:OANDA_API_KEY"]
    program = read_program(json.loads(json.dumps(spec)))
    assert program.operations["open"].post.endswith("/operations/open")


def test_every_mistake_is_told_at_once_each_with_its_line():
    text = PLAIN.replace("schema =", "schemas =").replace('"oanda"', '"oandaa"').replace('"./desk"', "1")
    told = mistakes(text + "[operation]\n")
    assert [line.partition(":")[0] for line in told] == ["line 5", "line 7", "line 13", "line 18"]
    assert "[ledger] schemas is unknown: write schema" in told[0]
    assert "list of words" in told[2]
    assert "write operations" in told[3]


def test_what_keys_mean_together_is_told_beside_all_other_mistakes_each_with_its_line():
    text = PLAIN.replace('"command"', '"systemd"').replace("schema =", "schemas =")
    text = text.replace("ready =", 'container = "desk"\nreadyy =').replace("open = {", "open = { wait = true,")
    told = mistakes(text.replace('token = "env:OANDA_API_KEY"', "token = 1"))
    assert [(line.partition(":")[0], next(word for word in WORDS if word in line)) for line in told] == [
        ("line 5", "write schema"),
        ("line 10", "must be a text"),
        ("line 11", "needs unit"),
        ("line 15", 'belongs to kind = "docker"'),
        ("line 16", "write ready"),
        ("line 18", "exactly one of post"),
    ]


WORDS = (
    "write schema",
    "must be a text",
    "needs unit",
    'belongs to kind = "docker"',
    "write ready",
    "exactly one of post",
)


@pytest.mark.parametrize(
    ("number", "line", "words"),
    [
        (1, 'name = "FX Desk"', "lower case"),
        (1, 'name = "rehearsal"', "bundled"),
        (2, "build = { }", "one of command, url and value"),
        (4, "urls = 1", "is unknown: write url"),
        (4, "url = 5432", "text in quotes"),
        (4, 'url = "mysql://db/x"', "postgresql:// address"),
        (4, 'supabase = "env:SUPABASE_URL"', "SUPABASE_KEY"),
        (4, 'url = "rehearsal:ledger_url"', "bundled target"),
        (8, 'url = "api-fxpractice.oanda.com"', "must be an address"),
        (9, 'account = "env:9"', "names nothing"),
        (10, "", "token is missing"),
        (12, 'kind = "systemd"', "needs unit"),
        (12, 'kind = "upstart"', "must be one of 'command', 'systemd'"),
        (13, 'command = "cd /srv && ./desk"', "no shell reads it"),
        (13, 'command = ["./desk", ">", "log"]', "no shell reads it"),
        (13, 'command = ["bash", "-lc", "./desk"]', "starts a shell"),
        (13, "command = []", "names no program"),
        (14, 'environment = { A = "{database}" }', "{database}, which no cell fills"),
        (14, 'environment = { A = "{ledger_url" }', "brace"),
        (15, 'ready = "127.0.0.1:{port}"', "must be an address"),
        (16, '[operations]\nwait = { post = "http://127.0.0.1:1/" }', "wait is unknown"),
        (17, "open = { wait = true }", "needs done"),
        (17, 'open = { post = "http://127.0.0.1:1/", command = ["a"] }', "exactly one"),
        (18, "[live.process]", "[live.broker] is missing"),
        (18, '[prevention]\ncommand = ["test", "{build}"]', "{build} and {test}"),
        (18, "[evidence.smoke]\nmin_touches = 0", "greater than 0"),
        (18, "[process.limits]", "is unknown"),
        (18, '[chaos]\ntemplate = "a"\nschema_file = "/b"', "keep one of them"),
        (18, '[chaos]\nhosts = ["https://api.example.com"]', "must be a name alone"),
        (18, "[chaos]\nhost_override = true", "needs hosts"),
        (18, '[[chaos.files]]\ntemplate = "/srv/t"\nname = "../etc/passwd"', "plain name"),
        (18, '[[chaos.files]]\ntemplate = "/srv/t"', "name is missing: of the file in {cell_folder}"),
        (18, '[chaos.postgrest]\ncommand = ["postgrest", "{broker_url}"]', "{broker_url}, which no cell fills"),
        (18, '[chaos.postgrest]\ncommand = ["postgrest"]\npath = "rest/v1"', "begin with /"),
        (18, "[chaos.timeouts]\nbroker_ms = 100", "timeouts.broker_ms must be greater than or equal to 500"),
        (18, "[chaos.timeouts]\nlocks_ms = 4000", "is unknown: write lock_ms"),
        (18, "[alerts]\ncpu = 80", "cpu is unknown: use "),
        (18, "[alerts]\ncpu_pct = 101", "at most 100"),
        (18, '[[scenarios]]\nname = "a_b_c"\noperation = "opne"', "needs an operation"),
    ],
)
def test_a_mistake_says_what_to_write_instead(number, line, words):
    told = mistakes(with_line(number, line))
    assert any(words in mistake for mistake in told), told
    assert len(told) == 1, told


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (4, 'url = "postgresql://desk:hunter2000@db.example.org/desk"'),
        (10, f'token = "{TOKEN}"'),
        (14, f'environment = {{ AUTH = "{TOKEN}" }}'),
        (14, 'environment = { DB_PASSWORD = "hunter2000" }'),
        (17, 'open = { post = "http://me:hunter2000@127.0.0.1:{port}/" }'),
        (13, f'command = ["./desk", "{TOKEN}"]'),
    ],
)
def test_a_secret_in_clear_is_refused_and_not_repeated(number, line):
    told = only(with_line(number, line))
    assert told.startswith(f"line {number}:")
    assert "env:NAME" in told
    assert "hunter2000" not in told
    assert TOKEN not in told


def test_a_live_host_is_refused_wherever_gate_2_would_strike():
    told = only(with_line(14, 'environment = { OANDA_URL = "https://api-fxtrade.oanda.com/v3" }'))
    assert "live broker" in told
    assert "allowed_hosts names a live broker" in only(
        PLAIN + '[chaos]\nallowed_hosts = ["stream-fxtrade.oanda.com"]\n'
    )


def test_the_portals_own_database_is_refused_under_each_name_of_this_machine():
    for host in ("127.0.0.1:5432", "localhost", "[::1]:5432"):
        told = only(with_line(4, f'url = "postgresql://desk@{host}/x"'), own_servers=frozenset({"127.0.0.1:5432"}))
        assert "the portal's own database" in told
    assert read_text(with_line(4, 'url = "postgresql://desk@127.0.0.1:5433/x"'), own_servers={"127.0.0.1:5432"})


def test_a_file_that_is_no_description_is_told_in_a_sentence(tmp_path):
    (tmp_path / "large.toml").write_bytes(b"#" * 300_000)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "broken.toml").write_text("[ledger\n")
    (tmp_path / "deep.toml").write_text("a = " + "[" * 100_000)
    for name, words in {
        "none.toml": "is no file",
        "large.toml": "larger than 256 KiB",
        "bytes.toml": "UTF-8",
        "broken.toml": "at line 1",
        "deep.toml": "not TOML",
    }.items():
        with pytest.raises(DescriptionError, match=words):
            read_file(tmp_path / name)


def test_the_json_schema_accepts_what_the_reader_accepts_and_refuses_an_unknown_key():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(tomllib.loads(PLAIN), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(PLAIN.replace("schema =", "schemas =")), schema)


KEYS = st.text("abcdefgh_-", min_size=1, max_size=8)


@given(
    st.dictionaries(
        KEYS, st.dictionaries(KEYS, st.sampled_from(['"x = 1"', "[\n  1,\n  2\n]", "'''\n[a]\nb = 1\n'''"]))
    )
)
def test_the_line_of_every_key_is_found_in_any_layout(sections):
    text, wanted = "", {}
    for section, keys in sections.items():
        wanted[(section,)] = text.count("\n") + 1
        text += f"[{section}]  # words\n"
        for key, value in keys.items():
            wanted[(section, key)] = text.count("\n") + 1
            text += f"{key} = {value}\n"
    tomllib.loads(text)
    assert lines_of(text) == wanted
