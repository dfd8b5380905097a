"""Campaigns: how they start, move and end, and the hands that may not touch them."""
