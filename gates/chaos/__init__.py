"""Chaos: the target is struck at each message that crosses its two boundaries, its ledger and its broker.

From above, each knows only what stands below it: `pages` and `__main__` (the engine's process), `reporting`, `commands`
(starting a run), `engine` (its rows as work), `standing` and `criteria` (what the rows say of the gate), `strikes` (one
strike, from the clean run to the verdict), `toolkit`, `scenarios` (which strikes are made), `cells` (isolated copies of
a target), `safety` (where it may be struck), `proxies` (on its two boundaries), `faults` (what is done to a message),
`timeouts`, `trials`, `baseline` (which messages are crash points) and `messages`. No rows from `strikes` down.
"""
