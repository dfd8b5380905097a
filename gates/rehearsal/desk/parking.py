"""`python -m gates.rehearsal.desk.parking URL`: tells a desk to stop trading and to leave the market."""

import json
import sys
import urllib.request

TIMEOUT_S = 10


def main(url: str) -> int:
    """Ask once. Returns 0 when the desk says that it does not trade any more."""
    body = json.dumps({"running": False}).encode()
    request = urllib.request.Request(f"{url}/trading", body, {"Content-Type": "application/json"}, method="POST")  # noqa: S310  a desk's own address
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
        trading = json.load(answer)["trading"]
    sys.stdout.write("The desk trades on.\n" if trading else "The desk does not trade any more.\n")
    return int(bool(trading))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
