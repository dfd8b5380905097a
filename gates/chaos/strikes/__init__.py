"""One strike in one cell, from the clean run it is aimed by to the verdict it comes to. Knows no rows and no portal.

From below: what must hold and what was waited for (`invariants`, `outlasting`, `whose_message`), when a target is at
rest (`settling`), the clean run (`clean_runs`), a strike at a message (`striking`) and those that other means make
(`contention` by `table_locks` and `request_deadlock`, `staleness`, `experiments`), the second one (`second_strikes`),
what is kept of it and held against it (`receipts`, `shortfalls`); `recovery` goes through it all.
"""
