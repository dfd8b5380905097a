"""What the rules need, seen from outside and without writing anything, several times a second, for each running run.

- `process`: the target's process, where it runs on this machine.
- `server`: the ledger's server and its sessions, and the end of the books, by two statements with time limits.
- `trends`: warnings and times by windows, to be compared with the target's own earlier ones.
- `log_file`: warnings in the target's log, line by line as it grows.
- `trades`: the broker's open trades, as its stream tells them.
- `run_watch`: all of it for one run; judges each look and says what is new.
- `keeping`: what each rule says now, written down once a second; clean looks resolve alerts.

It runs inside the stream process, so that it goes on while Celery and Valkey are down.
"""
