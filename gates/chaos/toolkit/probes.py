"""Probes for a user's own Chaos Toolkit experiments: each answers with a verdict, whose tolerance is `"passed"`.

```json
{"type": "probe", "name": "the books are right", "tolerance": "passed",
 "provider": {"type": "python", "module": "gates.chaos.toolkit.probes", "func": "verdict_of_books",
              "arguments": {"target": "fx-desk"}}}
```
"""

from gates.chaos.toolkit.commands import called

__all__ = ["verdict_of_books", "verdict_of_ledger", "verdict_of_snapshot"]

LIMIT_S = 900


def verdict_of_books(target: str = "rehearsal", profile: str = "smoke") -> str:
    """All checks of gate 3 on a target's books as they are now. Raises ActivityFailed."""
    return _verdict("--target", target, "--profile", profile)


def verdict_of_ledger(ledger: str, transactions: str, schema: str = "wartest") -> str:
    """All checks on a ledger (`env:NAME`, or a folder) and a broker's statement. Raises ActivityFailed."""
    return _verdict("--ledger", ledger, "--schema", schema, "--transactions", transactions)


def verdict_of_snapshot(snapshot: str) -> str:
    """All checks on a sealed snapshot, from its files alone. Raises ActivityFailed."""
    return _verdict("--snapshot", snapshot)


def _verdict(*words: str) -> str:
    return str(called("run_manual_audit", *words, limit_s=LIMIT_S)["verdict"])
