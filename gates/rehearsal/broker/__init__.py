"""A stateful OANDA v20 simulator: exact money, a seeded market, and faults on request.

`instruments`, `market`, `orders`, `trades`, `account`, `fills`, `triggers` and `commands` are a pure state machine:
commands and prices in, transactions out, time passed in. `venue` holds the accounts; `door`, `reading`, `writing`,
`history`, `streams` and `control` are the sockets around it.
"""
