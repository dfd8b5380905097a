"""What runs the target, as [process] kind says: it is seen, and where that is asked for, stopped and started again."""

from collections.abc import Iterator

from gates.targets.access import Access
from gates.targets.kinds import Control, ControlError, control_of
from gates.targets.preflight.need import Need, first_line

GROUP = "process control"


def controlled(access: Access, *, restart: bool) -> Iterator[Need]:
    """Look at the process by its kind; with `restart` it is stopped and started, as no run may be going on."""
    if not access.process or str(access.process.get("health", "")).startswith("rehearsal:"):
        return
    kind = str(access.process.get("kind", "command"))
    try:
        control = control_of(access.process, access.health_url)
        running = control.running()
    except ControlError as error:
        yield Need(GROUP, kind, False, first_line(error))
        return
    if running is None:
        yield Need(GROUP, kind, False, "it does not run: start it")
    else:
        number = f", process {running.pid}" if running.pid else ""
        caution = f"; mind that {running.caution}" if running.caution else ""
        yield Need(GROUP, kind, True, f"{running.name}{number}{caution}")
    if restart and kind == "command":
        words = "a command's own settings are not ours: stop and start it where it runs"
        yield Need(GROUP, "stops and starts", None, words)
    elif restart:
        yield from _again(control, was_running=running is not None)


def _again(control: Control, *, was_running: bool) -> Iterator[Need]:
    try:
        if was_running:
            yield Need(GROUP, "stops", True, control.stop())
        running = control.start()
    except ControlError as error:
        yield Need(GROUP, "stops and starts", False, first_line(error))
        return
    yield Need(GROUP, "starts", True, running.name)
