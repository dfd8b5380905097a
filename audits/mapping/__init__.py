"""Mapping: from a user's own tables to the seven views of the contract.

`found` says what a ledger's schema holds; `postgres` and `hosted` read it, never writing. `proposing` is pure: it
finds a source for each column by the synonyms of `synonyms` and the words of `vocabulary`. `writing` makes one
commented SQL file of it, and `trying` looks at the data through it without creating anything.
"""
