"""Growth: what a process holds and never gives back. Pure.

A leak shows in the floor, not in the peaks: garbage comes and goes, but the least that is held within a stretch of time
does not rise again and again without end. The beginning is left out, while caches fill.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from audits.findings import Finding, Level

RULE = "resources grow without end"
MIN_SAMPLES = 16
STRETCHES = 4  # the first is for warming up


@dataclass(frozen=True, slots=True)
class Resource:
    """One figure of the health check, and from which growth on it counts: so much, and so large a share."""

    name: str
    words: str
    unit: str
    at_least: float
    share: float


RESOURCES = (
    Resource("memory_mib", "memory", " MiB", at_least=16, share=0.25),
    Resource("handles", "open files and connections", "", at_least=16, share=0.5),
    Resource("threads", "threads", "", at_least=8, share=0.5),
)


def judge_growth(samples: Sequence[Mapping[str, Any]]) -> tuple[Finding, ...]:
    """Judge the figures of one process, oldest first: a finding for each resource whose floor rose in every stretch.

    Fewer than MIN_SAMPLES prove nothing and find nothing.
    """
    found = []
    for resource in RESOURCES:
        seen = [float(sample[resource.name]) for sample in samples if sample.get(resource.name) is not None]
        if len(seen) < MIN_SAMPLES:
            continue
        floors = _floors(seen)
        grown = floors[-1] - floors[0]
        rising = all(before < after for before, after in pairwise(floors))
        if rising and grown >= max(resource.at_least, resource.share * floors[0]):
            found.append(_finding(resource, floors))
    return tuple(found)


def _floors(seen: Sequence[float]) -> list[float]:
    """The least value of each stretch after the first."""
    size = len(seen) / STRETCHES
    return [min(seen[int(number * size) : int((number + 1) * size)]) for number in range(1, STRETCHES)]


def _finding(resource: Resource, floors: Sequence[float]) -> Finding:
    path = ", ".join(f"{floor:g}" for floor in floors)
    grown = floors[-1] - floors[0]
    sentence = (
        f"The target gives its {resource.words} never back: at least {path}{resource.unit}, one stretch after another."
    )
    limit = f"grows by less than {max(resource.at_least, resource.share * floors[0]):g}{resource.unit}"
    measured = f"{grown:g}{resource.unit}"
    return Finding(RULE, Level.CRITICAL, sentence, limit, measured, f"{grown:g}", {"resource": resource.name})
