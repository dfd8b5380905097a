"""`python -m gates.rehearsal.defects`: the catalogue as JSON, so that nobody has to import it."""

import json
import sys

from gates.rehearsal.defects import DEFECTS

if __name__ == "__main__":
    json.dump([defect.shown() for defect in DEFECTS], sys.stdout, indent=1)
    sys.stdout.write("\n")
