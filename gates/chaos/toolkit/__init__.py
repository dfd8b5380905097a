"""Chaos Toolkit: a user's experiments as strikes, and our scenarios as actions and probes of theirs."""
