"""Reviews: in a long run a person looks every few hours and writes a line. It is no intervention, and a missed one is
shown and fails nothing."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User

from gates.models import Review, Run

EVERY = {
    "production": timedelta(hours=4),
    "rehearsal": timedelta(seconds=100),
    "smoke": timedelta(seconds=10),
}
MOST_WORDS = 500


class ReviewRefusedError(Exception):
    """The review cannot be written; the message says why."""


def cut_reviews(run: Run) -> None:
    """Insert every review that people owe this run; doing it again changes nothing."""
    every = EVERY.get(run.campaign.profile)
    if every is None:
        return
    count = (run.planned_end - run.planned_start) // every
    Review.objects.bulk_create(
        (
            Review(
                run=run,
                number=number + 1,
                opens_at=run.planned_start + number * every,
                due_at=run.planned_start + (number + 1) * every,
            )
            for number in range(count)
        ),
        ignore_conflicts=True,
    )


def write_review(review_id: int, *, person: User, words: str, now: datetime) -> None:
    """Write the one line of a review, in its time. Raises ReviewRefusedError."""
    words = " ".join(words.split())
    if not words:
        raise ReviewRefusedError("Say in a line what you looked at and what you saw.")
    if len(words) > MOST_WORDS:
        raise ReviewRefusedError(f"A review is a line, at most {MOST_WORDS} characters: shorten it.")
    review = Review.objects.select_related("run").filter(pk=review_id).first()
    if review is None:
        raise ReviewRefusedError("There is no such review.")
    if not review.run.is_open:
        raise ReviewRefusedError("The run is closed: its report is sealed, and nothing is added to it.")
    if now < review.opens_at:
        raise ReviewRefusedError(f"This review opens at {review.opens_at:%H:%M:%S} UTC: look then.")
    if now > review.due_at:
        raise ReviewRefusedError(f"This review was due at {review.due_at:%H:%M:%S} UTC and is missed: it stays so.")
    if not Review.objects.filter(pk=review_id, done_at=None).update(person=person, words=words, done_at=now):
        raise ReviewRefusedError("Somebody wrote this review before you: nothing was changed.")


def missed_reviews(run: Run, now: datetime) -> int:
    """Return how many reviews of the run nobody wrote in their time."""
    return run.reviews.filter(done_at=None, due_at__lt=now).count()


def open_review(run: Run, now: datetime) -> Review | None:
    """Return the review that can be written now."""
    return run.reviews.filter(done_at=None, opens_at__lte=now, due_at__gte=now).order_by("number").first()


def review_states(run: Run, now: datetime) -> list[dict[str, Any]]:
    """Return each review of the run as written, missed, open or waiting."""
    return [{"review": review, "state": _state(review, now)} for review in run.reviews.select_related("person")]


def _state(review: Review, now: datetime) -> str:
    if review.done_at:
        return "written"
    if review.due_at < now:
        return "missed"
    return "open" if review.opens_at <= now else "waiting"
