"""Actions for a user's own Chaos Toolkit experiments, run where the portal is installed.

```json
{"type": "action", "name": "kill it at every message of a trade open",
 "provider": {"type": "python", "module": "gates.chaos.toolkit.actions", "func": "run_scenario",
              "arguments": {"scenario": "kill_during_trade_open", "target": "fx-desk"}}}
```
"""

from typing import Any

from gates.chaos.toolkit.commands import called

__all__ = ["run_scenario", "strike"]


def run_scenario(
    scenario: str, target: str = "rehearsal", profile: str = "smoke", limit_s: int = 3_600
) -> dict[str, Any]:
    """Run one of the scenarios on a target, in cells of its own; its verdict and report. Raises ActivityFailed."""
    words = ("--target", target, "--profile", profile, "--scenario", scenario)
    return called("run_chaos_scenarios", *words, limit_s=limit_s)


def strike(scenario: str, operation: str, point: str, strike: str, target: str = "rehearsal") -> dict[str, Any]:
    """Make one strike at one crash point, both as a report names them. Raises ActivityFailed."""
    where = ("--target", target, "--profile", "smoke", "--scenario", scenario, "--operation", operation)
    return called("run_chaos_scenarios", *where, "--point", point, "--strike", strike, limit_s=600)
