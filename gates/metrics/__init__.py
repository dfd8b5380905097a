"""`/metrics`: figures of the portal for Prometheus, read from the rows when asked.

Every question is bounded: it reads an index of what is open, or the rows of the runs that go on, never a run's slots.
Lists have limits; a figure that reached one says at least so much.
"""
