"""The pages of gate 2: a run, a scenario as a sequence chart, and a crash point."""
