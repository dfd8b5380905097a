"""Chaos Toolkit: a user's experiments as strikes, and our scenarios as actions and probes of theirs."""

READY = "ready"  # what the runner says once the experiment's method may begin
GO = "go"  # what it is told then
NOTHING_RAN = 2
