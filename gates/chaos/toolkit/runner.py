"""One Chaos Toolkit experiment, run to its journal. Needs chaostoolkit-lib."""

import json
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from chaoslib.exceptions import ChaosException
from chaoslib.experiment import ensure_experiment_is_valid, run_experiment
from chaoslib.loader import load_experiment
from chaoslib.run import RunEventHandler
from chaoslib.types import Experiment, Strategy

from gates.chaos.toolkit import GO, NOTHING_RAN, READY

# Without it nothing is undone after a probe that failed, or once it is asked to end: see its rollback strategies.
ROLLED_BACK = {"runtime": {"rollbacks": {"strategy": "always"}}}


class Wait(RunEventHandler):
    """Holds the method back until the operation is asked for, and for good where nobody asks."""

    def start_method(self, experiment: Experiment) -> None:
        """Say that it may begin, and wait for the word. Chaos Toolkit begins after whatever is raised here."""
        interrupts = signal.signal(signal.SIGTERM, _end)
        word = ""
        with suppress(OSError):
            sys.stdout.write(f"{READY}\n")
            sys.stdout.flush()
            word = sys.stdin.readline()
        if word != f"{GO}\n":
            _end()
        signal.signal(signal.SIGTERM, interrupts)

    def start_rollbacks(self, experiment: Experiment) -> None:
        """Being asked to end, once more or at last, interrupts none of them."""
        signal.signal(signal.SIGTERM, lambda *_: None)  # no SIG_IGN, which what they start would inherit


def _end(*_: object) -> None:
    with suppress(OSError):
        os.write(sys.stderr.fileno(), b"Nobody gave the word: nothing was struck\n")
    os._exit(NOTHING_RAN)


def main(experiment: str, journal: str) -> int:
    """Run it and write its journal; 0, or NOTHING_RAN with one sentence on standard error."""
    logging.getLogger("chaostoolkit").addHandler(logging.StreamHandler(sys.stderr))
    try:
        loaded = load_experiment(experiment)
        ensure_experiment_is_valid(loaded)
    except (ChaosException, OSError, ValueError) as error:
        sys.stderr.write(f"{Path(experiment).name} is no experiment: {str(error).strip().splitlines()[0]}\n")
        return NOTHING_RAN
    found = run_experiment(loaded, settings=ROLLED_BACK, strategy=Strategy.DEFAULT, event_handlers=[Wait()])
    Path(journal).write_text(json.dumps(found, default=str))
    return 0
