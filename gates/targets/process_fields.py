"""[process] of a description: what runs the target, how to see that it is well, and how a cell starts its program."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gates.targets.senses import demand, process_sense
from gates.targets.text_kinds import CellText, HttpAddress, Section, Text, Words, filled_by_cells, http_address

Kind = Literal["command", "systemd", "docker", "kubernetes", "external"]


def _filled(words: list[str]) -> list[str]:
    return [filled_by_cells(word) for word in words]


class Process(Section):
    """What runs the target. `command`, `environment`, `folder` and `ready` are how a cell starts it, of any kind."""

    kind: Kind = "command"
    command: Annotated[Words, AfterValidator(_filled)] | None = Field(None, description="the program, as words")
    environment: dict[str, CellText] = Field(
        default_factory=dict,
        description="PATH, HOME, LANG, TZ and these are all it sees: {ledger_url}, {broker_url}, {account}, {token} "
        "and {port} are filled with the cell's own",
    )
    folder: CellText | None = Field(
        None, description="the folder it is started in; {cell_folder} is that of [[chaos.files]]"
    )
    ready: Annotated[Text, AfterValidator(http_address), AfterValidator(filled_by_cells)] | None = Field(
        None, description="answers 200, and no status but ok, once it is ready, and again once it has recovered"
    )
    start_limit_s: float = Field(30.0, ge=1, le=600, description="how long it may take to be ready")
    catch_up_s: float = Field(
        60.0, ge=0, le=60, description="how long after that its books may take to be right; 0: they are right by then"
    )
    stop_limit_s: float = Field(10.0, ge=1, le=600, description="how long it may take to end when it is asked to")

    health: HttpAddress | None = Field(None, description="of the running target, which gates 1 and 4 watch")
    health_by: Literal["answer", "status code"] = Field("answer", description="what of an answer says that it is well")
    port: int | None = Field(None, ge=1, le=65535, description="of the running target: its health is then ready at it")
    log: Text | None = Field(None, description="its log file on this machine: lines that warn are counted in it")
    disks: Words | None = Field(None, description="paths of the disks it writes to; without them that of its folder")
    pid_file: Text | None = Field(None, description="holds the running target's process number, if its health does not")

    unit: Text | None = Field(None, description="systemd: fx-desk.service")
    user_units: bool | None = Field(None, description="systemd: whether it is a unit of the user's own")
    container: Text | None = Field(None, description="docker: the container's name")
    daemon: Text | None = Field(None, description="docker: unix:///var/run/docker.sock")
    namespace: Text | None = Field(None, description="kubernetes: default")
    deployment: Text | None = Field(None, description="kubernetes: the deployment's name, of one replica")
    selector: Text | None = Field(None, description="kubernetes: app=fx-desk, where the deployment's own is not enough")
    pod_container: Text | None = Field(None, description="kubernetes: which container, of several")
    context: Text | None = Field(None, description="kubernetes: the context of the kubeconfig")
    start: Words | None = Field(None, description="external: starts it and returns")
    stop: Words | None = Field(None, description="external: stops it and returns once it is over")
    status: Words | None = Field(None, description="external: exits 0 while it runs, and may print its process number")
    kill: Words | None = Field(None, description="external: kills it at once")
    logs: Words | None = Field(None, description="external: prints the end of its log")

    @model_validator(mode="after")
    def _sense(self) -> Self:
        demand(process_sense(self.said()))
        return self
