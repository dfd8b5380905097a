"""One strike in one cell, from the clean run it is aimed by to the verdict it comes to. Knows no rows and no portal.

From below: what must hold and what was waited for (`invariants`, `outlasting`, `whose_message`), when a target is at
rest (`settling`), a strike at a message (`striking`) and those that other means make (`contention` by `table_locks` and
`request_deadlock`, `staleness`, `experiments`), what is kept of it and held against it (`receipts`, `shortfalls`), what
follows it (`recovery`, `still_trading`), the clean run, which the same follows (`clean_runs`), the second strike
(`second_strikes`); `trying` goes through it all.
"""
