"""Runs one Chaos Toolkit experiment: `python -m gates.chaos.toolkit EXPERIMENT JOURNAL`.

Says `ready` on standard output when its steady state was met and its method may begin, which it does with the line `go`
on standard input; without it nothing is struck. Exit 0 with a journal written, 2 with one sentence on standard error
without.
"""

import sys

from gates.chaos.toolkit import NOTHING_RAN

try:
    from gates.chaos.toolkit.runner import main
except ImportError:
    sys.stderr.write("Chaos Toolkit is not installed here: uv sync --extra toolkit\n")
    sys.exit(NOTHING_RAN)

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
