"""Whether two runs of one scenario made the same strikes and came to the same verdicts. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

Strike = tuple[str, str, str, str]
"""Operation, point, fault in words, and the point of the recovery at depth 2 (else empty).

A second strike is named by the durable state that the first one left, in the place of the first one's point and fault:
of the kills that leave the same state, the one that is over first is followed by more.
"""
Verdicts = Mapping[Strike, str]
"""Each strike's verdict in words; what did not apply is `not applicable`."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between an earlier run and a later one; `verdicts` holds strike → (earlier, later)."""

    only_earlier: tuple[Strike, ...]
    only_later: tuple[Strike, ...]
    verdicts: Mapping[Strike, tuple[str, str]]
    same: int

    @property
    def identical(self) -> bool:
        """Whether both made the same strikes with the same verdicts; two that made none are not."""
        return bool(self.same) and not (self.only_earlier or self.only_later or self.verdicts)

    @property
    def words(self) -> str:
        """The comparison in one line."""
        if self.identical:
            return f"identical: the same {self.same} strikes, the same verdicts"
        parts = (
            (len(self.verdicts), "with another verdict"),
            (len(self.only_earlier), "only in the earlier"),
            (len(self.only_later), "only in the later"),
        )
        told = ", ".join(f"{count} {words}" for count, words in parts if count)
        return f"{told or 'nothing was struck'}; {self.same} the same"


def second_strike(operation: str, state: str, strike: str, point: str) -> Strike:
    """The name of a second strike, at a point of the recovery from a durable state."""
    return (operation, f"after a kill that left {state}", f"{strike} in the recovery", point)


def compare(earlier: Verdicts, later: Verdicts) -> Comparison:
    """Compare strike by strike."""
    both = [strike for strike in earlier if strike in later]
    differing = {strike: (earlier[strike], later[strike]) for strike in both if earlier[strike] != later[strike]}
    return Comparison(
        only_earlier=tuple(strike for strike in earlier if strike not in later),
        only_later=tuple(strike for strike in later if strike not in earlier),
        verdicts=differing,
        same=len(both) - len(differing),
    )
