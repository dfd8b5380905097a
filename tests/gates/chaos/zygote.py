"""`python -m tests.gates.chaos.zygote URL`: forks a child for each line it reads; the child trades once.

A line is `NAME ends` or `NAME stays`: like a trading system, the child then lives on until it is killed. It is a real
process that can be killed at any message, without paying for an interpreter's start each time.
"""

import os
import signal
import sys

import psycopg

MOST_S = 60  # a child that nobody kills ends by itself


def trade(url: str, name: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO executions (name) VALUES (%s)", (name,))
        connection.execute("UPDATE orders SET state = 'filled' WHERE id = 1")


def main() -> None:
    url = sys.argv[1]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                signal.alarm(MOST_S)
                name, then = line.split()
                trade(url, name)
                if then == "stays":
                    signal.pause()
            finally:
                os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
