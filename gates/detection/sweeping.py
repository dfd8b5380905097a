"""Sweeping: many defects, several at once, each on a ground of its own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from queue import SimpleQueue

from gates.detection.catalogue import Planted
from gates.detection.ground import Ground
from gates.detection.rehearsing import Rehearsed


def sweep(
    grounds: Sequence[Ground], defects: Iterable[Planted], one: Callable[[Ground, Planted], Rehearsed]
) -> Iterator[Rehearsed]:
    """Rehearse each defect by `one`, as many at once as there are grounds; the results as they come."""
    free: SimpleQueue[Ground] = SimpleQueue()
    for ground in grounds:
        free.put(ground)

    def on_a_ground(defect: Planted) -> Rehearsed:
        ground = free.get()
        try:
            return one(ground, defect)
        finally:
            free.put(ground)

    with ThreadPoolExecutor(len(grounds)) as pool:
        for done in as_completed([pool.submit(on_a_ground, defect) for defect in defects]):
            yield done.result()
