"""The checks of gate 1: each observes the target and judges what it saw."""
