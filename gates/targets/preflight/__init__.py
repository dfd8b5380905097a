"""Before a target's first run: every need, in the order in which a person can mend it, each with the next step."""
