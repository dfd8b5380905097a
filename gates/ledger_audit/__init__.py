"""Gate 3, the ledger audit, as a run: planned, started, worked on by one bounded process, judged and shown."""
