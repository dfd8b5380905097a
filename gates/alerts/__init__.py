"""Alerts: what is watched, by which rules, and what becomes of what they find.

- `thresholds`: one table of deadlines and limits; a target may set its own.
- `rules`: the thirteen, a file each. Pure.
- `raising`: raise, fold, open again, resolve.
- `watching`: what the rules need, seen from outside several times a second, in the process that holds the streams.
- `rechecking`: who must look again before an alert is resolved.
- `commands`: what people do about an alert.
- `deadlines`, `reminding`: when it is said again, and to whom besides.
- `delivery`: how people hear of it.
"""
