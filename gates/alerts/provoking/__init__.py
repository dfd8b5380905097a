"""Each of the thirteen rules provoked for real: by what is done to a real desk, its broker, its ledger and its machine.

- `place`: a desk at a broker with a ledger of its own, and the run by which a portal watches it.
- `market`, `books`, `machine`: what is done, and undone again, one context manager each.
- `provocations`: which of them provokes which rules, and how an alert shows that it was raised for this very cause.

Nothing here looks at an alert: it does something, and leaves seeing it to the portal.
"""
