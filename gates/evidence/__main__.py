"""`python -m gates.evidence PATH [--key KEY]…`: verify evidence without a portal, its database or its settings."""

import argparse
import sys
from pathlib import Path

from gates.evidence.terminal import verify_path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m gates.evidence", description=__doc__)
    parser.add_argument("path", type=Path, metavar="PATH", help="a downloaded zip, its folder, or a folder of reports")
    parser.add_argument(
        "--key", action="append", default=[], help="a fingerprint or a public key's file that you trust"
    )
    options = parser.parse_args()
    return verify_path(options.path, options.key, None, print)


if __name__ == "__main__":
    sys.exit(main())
