"""What a verification found: one sentence for each thing that is wrong, cannot be judged, or should be known. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from audits.verdicts import Verdict, merge

MOST_SENTENCES = 200  # of a kind: who sees so many needs no more of them


@dataclass(slots=True)
class Judgement:
    """Sentences by kind, and counts of what was looked at. Nothing looked at is inconclusive."""

    wrong: list[str] = field(default_factory=list)
    unjudged: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """Failed where anything is wrong, inconclusive where anything is not judged or nothing was looked at."""
        seen = [Verdict.PASSED] if self.counts.get("reports") else []
        return merge([*seen, *self._bad()])

    def _bad(self) -> Iterable[Verdict]:
        if self.wrong:
            yield Verdict.FAILED
        if self.unjudged:
            yield Verdict.INCONCLUSIVE

    def count(self, what: str, number: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + number


def first_of(sentences: list[str]) -> list[str]:
    """Return the first sentences, and how many more there are."""
    more = len(sentences) - MOST_SENTENCES
    return [*sentences[:MOST_SENTENCES], *([f"… and {more} more."] if more > 0 else [])]
