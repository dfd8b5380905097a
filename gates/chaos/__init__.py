"""Chaos: the target is struck at each message that crosses its two boundaries, its ledger and its broker.

From above, each knows only what stands below it: `pages` and `__main__` (the engine's process); `reporting`, `commands`
(starting a run) and `undone_by_hand`; `engine` (its rows as work); `standing` (what the rows say of the gate);
`criteria` and `strikes` (one strike, from the clean run to the verdict); `toolkit`, `scenarios` (which strikes are
made) and `cells` (isolated copies of a target); `safety` (where it may be struck); `proxies` (on its two boundaries);
`faults` (what is done to a message); `trials`; `baseline` (which messages are crash points); `messages`. No rows from
`strikes` down.
"""
