"""The rehearsal desk: a small event-sourced trading system, the bundled system under test.

It runs as a process of its own with a database of its own, and knows nothing of whoever watches it.
"""
