"""Sweeping: much work, several pieces at once, each at a place of its own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from queue import SimpleQueue


def sweep[Place, Work, Done](
    places: Sequence[Place], work: Iterable[Work], one: Callable[[Place, Work], Done]
) -> Iterator[Done]:
    """Do each piece of work by `one`, as many at once as there are places; what came of them as it comes."""
    free: SimpleQueue[Place] = SimpleQueue()
    for place in places:
        free.put(place)

    def at_a_place(piece: Work) -> Done:
        place = free.get()
        try:
            return one(place, piece)
        finally:
            free.put(place)

    with ThreadPoolExecutor(len(places)) as pool:
        for done in as_completed([pool.submit(at_a_place, piece) for piece in work]):
            yield done.result()
