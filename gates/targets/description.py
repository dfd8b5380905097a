"""A target as its description says it: the sections of one TOML file, each key with its type and what it is for.

`reading.py` reads a file into it and words every mistake; its JSON Schema (`manage.py add_target --schema`) helps
editors. What is secret is named, `env:NAME` or `file:/path`, and never written.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gates.targets.process_fields import Process
from gates.targets.senses import (
    build_sense,
    chaos_sense,
    demand,
    description_sense,
    ledger_sense,
    operation_sense,
    prevention_sense,
)
from gates.targets.text_kinds import (
    HostName,
    HttpAddress,
    LedgerAddress,
    RestText,
    Secret,
    Section,
    Text,
    Words,
    file_name,
    filled_by_cells,
    filled_by_rest,
    http_address,
    is_named,
    path_prefix,
    rest_text,
)
from gates.targets.timeout_fields import Timeouts

NAME = "[a-z0-9](?:[a-z0-9_-]{0,48}[a-z0-9])?"
RESERVED = ("rehearsal",)


class Build(Section):
    """The fingerprint of what is tested: what a command prints, what an address answers, or a fixed value."""

    command: Words | None = Field(None, description="prints it; without a shell, 10 s at most")
    url: HttpAddress | None = Field(None, description="answers with it as plain text, or as the JSON field build")
    value: Text | None = Field(None, description="is it")

    @model_validator(mode="after")
    def _sense(self) -> Self:
        demand(build_sense(self.said()))
        return self


def _name(name: str) -> str:
    if name in RESERVED:
        raise ValueError("is the bundled target's: choose another")
    return name


def _build(value: object) -> object:
    return {"value": value} if isinstance(value, str) else value


class Ledger(Section):
    """Where the books are: a PostgreSQL (`url`), or a hosted one over HTTP (`supabase` with its `key`)."""

    url: LedgerAddress | None = Field(None, description="postgresql://…, best as env:NAME")
    supabase: HttpAddress | None = Field(None, description="https://… of the project, or of a PostgREST")
    key: Secret | None = Field(None, description="the hosted ledger's API key: env:NAME or file:/path")
    schema_: Text = Field("wartest", alias="schema", description="the schema that holds the views of the contract")

    @model_validator(mode="after")
    def _sense(self) -> Self:
        demand(ledger_sense(self.said()))
        return self


class Broker(Section):
    """The account whose transactions the books are compared with. It is only ever asked, never told."""

    kind: Literal["oanda"] = "oanda"
    url: HttpAddress = Field(description="https://api-fxpractice.oanda.com, or a simulator's address")
    account: Text = Field(description="the account's id, or env:NAME")
    token: Secret = Field(description="env:NAME or file:/path")


class Operation(Section):
    """How the target is asked for one operation: exactly one of `post`, `command`, `queue` and `wait`."""

    post: Annotated[Text, AfterValidator(http_address), AfterValidator(filled_by_cells)] | None = Field(
        None, description="an address that takes a POST with a JSON body, and answers 2xx once it is done"
    )
    body: dict[str, Any] | None = Field(None, description="the JSON body of post")
    command: Words | None = Field(None, description="exits with 0 once it is done")
    queue: Text | None = Field(None, description="an INSERT into the cell's ledger; the target takes the row")
    done: Text | None = Field(None, description="with queue or wait: a SELECT that is true once it is done")
    wait: bool | None = Field(None, description="true: the target does it by itself")
    limit_s: float = Field(40.0, ge=1, le=600, description="how long it may take")

    @model_validator(mode="after")
    def _sense(self) -> Self:
        demand(operation_sense(self.said()))
        return self


class Operations(Section):
    """How to ask for each of the six; gate 2 needs all of them."""

    open: Operation | None = None
    close: Operation | None = None
    partial_fill: Operation | None = None
    margin_update: Operation | None = None
    reconcile: Operation | None = None
    replay: Operation | None = None


class LiveLedger(Section):
    """What of [ledger] is another one in gate 4."""

    url: LedgerAddress | None = None
    supabase: HttpAddress | None = None
    key: Secret | None = None
    schema_: Text | None = Field(None, alias="schema")


class LiveBroker(Section):
    """The account of gate 4, compared with the host and with what the account says of itself."""

    environment: Literal["live", "practice"]
    url: HttpAddress | None = None
    account: Text | None = None
    token: Secret | None = None


class LiveProcess(Section):
    """What of [process] is another in gate 4, and what the page's stop button runs."""

    health: HttpAddress | None = None
    stop: Words | None = Field(None, description="without a shell, 30 s at most")
    log: Text | None = None
    pid_file: Text | None = None


class Live(Section):
    """What gate 4 uses, laid over what gates 1 to 3 used."""

    ledger: LiveLedger | None = None
    broker: LiveBroker
    process: LiveProcess | None = None


class Prevention(Section):
    """The test that shows that a mistake is found before its fix and not after it."""

    command: Words | None = Field(None, description="holds {build} and {test}; exit 0 passed, 1 failed")
    program: Words | None = Field(None, description="[process] command of a build in a cell; holds {build}")
    limit_s: int = Field(600, ge=1, le=3600)

    @model_validator(mode="after")
    def _sense(self) -> Self:
        demand(prevention_sense(self.said()))
        return self


class CellFile(Section):
    """A file by which the program is set up, written for each cell from a template."""

    template: Text = Field(description="its text with {ledger_url}, {broker_url}, … where a cell's own belongs")
    name: Annotated[Text, AfterValidator(file_name)] = Field(description="of the file in {cell_folder}")


class PostgRest(Section):
    """The user's PostgREST, started for each cell before its books; the program is struck on its HTTP."""

    command: Annotated[Words, AfterValidator(filled_by_rest)] = Field(description="the program, as words")
    environment: dict[str, RestText] = Field(
        default_factory=dict, description="as of [process]; {ledger_url} is the cell's database, {port} its own"
    )
    folder: Text | None = None
    ready: Annotated[Text, AfterValidator(http_address), AfterValidator(rest_text)] | None = Field(
        None, description="answers 2xx once it serves; http://127.0.0.1:{port}/ without it"
    )
    path: Annotated[Text, AfterValidator(path_prefix)] | None = Field(
        None, description="what clients write before the names of tables, as /rest/v1; it is taken off"
    )
    start_limit_s: float = Field(30.0, ge=1, le=600)


class Chaos(Section):
    """Where gate 2 may strike, and from what its copies are made."""

    allowed_hosts: list[Text] = Field(default_factory=list, description="ledger servers beside this machine's")
    template: Text | None = Field(None, description="the database on the ledger's server that cells are copies of")
    schema_file: Text | None = Field(None, description="or SQL that makes one: pg_dump --schema-only --no-owner")
    ledger: LedgerAddress | None = Field(None, description="another server for the cells, best one on this machine")
    hosts: Annotated[list[HostName], Field(max_length=20)] = Field(
        default_factory=list, description="the broker's names that are written into the program"
    )
    host_override: bool | None = Field(
        None, description="true: the program finds the cell's broker under them; else by HTTPS_PROXY"
    )
    protection_limit_ms: int | None = Field(
        None, ge=1, le=600_000, description="the longest that an open position may be without its stop; 1000 else"
    )
    postgrest: PostgRest | None = Field(None, description="where the program reaches its books over HTTP")
    timeouts: Timeouts | None = Field(None, description="those of the bundled desk without it")
    files: Annotated[list[CellFile], Field(max_length=20)] = Field(
        default_factory=list, description="files by which the program is set up, [[chaos.files]]"
    )

    @model_validator(mode="after")
    def _sense(self) -> Self:
        demand(chaos_sense(self.said()))
        return self


class Evidence(Section):
    """The least evidence of gate 1, where it is not the profile's."""

    min_touches: int | None = Field(None, gt=0)
    min_reconciliations: int | None = Field(None, gt=0)
    stop_limit_s: int | None = Field(None, gt=0)
    reconciliation_limit_ms: int | None = Field(None, gt=0)


class EvidenceOf(Section):
    """The least evidence, by profile."""

    production: Evidence | None = None
    rehearsal: Evidence | None = None
    smoke: Evidence | None = None


class Production(Section):
    """What production is like: what preflight sees of the tested environment is compared with it."""

    file: Text | None = Field(None, description="JSON that `preflight --target T --identity FILE` wrote there")
    identity: dict[str, str | int | bool] | None = Field(None, description='the same facts here, as python = "3.13"')


class Description(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", strict=True, title="A target of wartest")

    name: Annotated[str, AfterValidator(_name)] = Field(
        description="lower case letters, digits, - and _, 50 at most", pattern=f"^{NAME}$"
    )
    build: Annotated[Build, BeforeValidator(_build, json_schema_input_type=Build | str)] | None = None
    ledger: Ledger
    broker: Broker
    process: Process | None = None
    operations: Operations | None = None
    live: Live | None = None
    prevention: Prevention | None = None
    chaos: Chaos | None = None
    evidence: EvidenceOf | None = None
    alerts: dict[str, int | float] | None = Field(None, description="limits of the alerts' rules for this target")
    production: Production | None = None
    scenarios: list[dict[str, Any]] | None = Field(None, description="chaos scenarios of one's own, [[scenarios]]")

    @model_validator(mode="after")
    def _sense(self) -> Self:
        demand(description_sense(self.model_dump(by_alias=True, exclude_none=True)))
        return self

    def spec(self) -> dict[str, Any]:
        """Return it as a target's row keeps it: no secret, and nothing that was not said but the defaults."""
        shape = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {key: value for key, value in shape.items() if key != "name"}

    def named(self) -> list[str]:
        """Return the secrets' names in it, as `env:NAME`."""
        return secret_names(self.spec())


def secret_names(spec: Mapping[str, Any]) -> list[str]:
    """Return what a stored description names by `env:` and `file:`, each once."""
    return sorted(set(_named(spec)))


def _named(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [name for each in value.values() for name in _named(each)]
    if isinstance(value, list):
        return [name for each in value for name in _named(each)]
    return [value] if isinstance(value, str) and is_named(value) else []
