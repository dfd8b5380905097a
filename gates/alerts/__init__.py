"""Alerts: what is watched, by which rules, and what becomes of what they find.

- `thresholds`: one table of deadlines and limits; a target may set its own.
- `rules`: the thirteen, a file each. Pure.
- `raising`: raise, fold, open again, resolve.
- `commands`: what people do about an alert.
- `delivery`: how people hear of it.
"""
