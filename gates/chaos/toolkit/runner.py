"""One Chaos Toolkit experiment, run to its journal. Needs chaostoolkit-lib."""

import json
import logging
import sys
from pathlib import Path

from chaoslib.exceptions import ChaosException
from chaoslib.experiment import ensure_experiment_is_valid, run_experiment
from chaoslib.loader import load_experiment
from chaoslib.run import RunEventHandler
from chaoslib.types import Experiment, Strategy

from gates.chaos.toolkit.experiments import NOTHING_RAN, READY


class Wait(RunEventHandler):
    """Holds the method back until the operation is asked for."""

    def start_method(self, experiment: Experiment) -> None:
        """Say that it may begin, and wait for the word."""
        sys.stdout.write(f"{READY}\n")
        sys.stdout.flush()
        sys.stdin.readline()


def main(experiment: str, journal: str) -> int:
    """Run it and write its journal; 0, or NOTHING_RAN with one sentence on standard error."""
    logging.getLogger("chaostoolkit").addHandler(logging.StreamHandler(sys.stderr))
    try:
        loaded = load_experiment(experiment)
        ensure_experiment_is_valid(loaded)
    except (ChaosException, OSError, ValueError) as error:
        sys.stderr.write(f"{Path(experiment).name} is no experiment: {str(error).strip().splitlines()[0]}\n")
        return NOTHING_RAN
    found = run_experiment(loaded, settings={}, strategy=Strategy.DEFAULT, event_handlers=[Wait()])
    Path(journal).write_text(json.dumps(found, default=str))
    return 0
