"""How people hear of alerts: routes, an outbox in PostgreSQL, and one process that delivers. Pure where it can be.

- `routing`: which routes a message takes, and when, by level, role and quiet hours. Pure.
- `pauses`: how long to wait after a try that failed, and when to give up. Pure.
- `words`: what a message says, with nothing in it that a reader could take for markup. Pure.
- `outbox`: messages cut in the transaction that gives a reason; claimed, tried again, done.
- `addresses`: where a route leads, taken from the environment or a file at the moment of use.
- `sending`: one message to one address, by apprise.
- `posting`: the process. `python -m gates.alerts.delivery`; two of them share the work.
- `failing`: a route that fails is an alert, which goes another way.
- `routes`, `drills`: what people do.
"""
