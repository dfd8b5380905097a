"""Chaos: the target is struck at each message that crosses its two boundaries, its ledger and its broker."""
