"""The rows of a run of gate 2 as work: cut, claimed, struck in cells, written down, healed and closed.

From below: what is to be made of which row (`sampling`, `trial_rows`, `builds`), the rows as work (`work`), what a
strike writes while it goes on (`journal`) and what is remembered of those before (`memory`), what follows where nothing
is open any more (`closing`) or an engine is dead (`healing`); `starting` attends from each tick, and `running` is the
engine itself. On other machines than the ticks' `helping` takes whatever run is open, and `posts` says who works where.
"""
