"""The proxies on a target's boundaries: each a process of its own that relays, names and holds messages."""
